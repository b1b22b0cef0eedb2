// The implementation that everybody writes first, and what the others are measured against: Express, Sequelize, and for each operation
// findByPk, a comparison of times, save, in the request. No queue, no log, no idempotency, no order, no validation. Same protocol, same PostgreSQL.
import express from 'express';
import { DataTypes, Model, Sequelize } from 'sequelize';

const { port, databaseUrl }: { port: number; databaseUrl: string } = JSON.parse(process.argv[2] ?? '{}');
const sequelize = new Sequelize(databaseUrl, { logging: false, pool: { max: 8 } });

class Task extends Model {
  declare id: string;
  declare title: string;
  declare description: string | null;
  declare completed: boolean;
  declare deleted: boolean;
  declare updatedAt: Date;
}

Task.init(
  {
    id: { type: DataTypes.TEXT, primaryKey: true },
    title: { type: DataTypes.TEXT, allowNull: false },
    description: DataTypes.TEXT,
    completed: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
    deleted: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
    updatedAt: { type: DataTypes.DATE(6), allowNull: false },
  },
  { sequelize, tableName: 'tasks', timestamps: false },
);

interface Item {
  operation: 'create' | 'update' | 'delete';
  op_id: string;
  data: { id: string; title?: string; description?: string; completed?: boolean; updated_at: string };
}

async function apply({ operation, op_id, data }: Item) {
  const updatedAt = new Date(data.updated_at);
  const { title, description, completed } = data;
  const task = await Task.findByPk(data.id);
  if (task === null) {
    if (operation !== 'create') return { op_id, status: 'not_found', resolved_data: null };
    const made = await Task.create({ id: data.id, title, description, completed, updatedAt });
    return { op_id, status: 'success', resolved_data: made };
  }
  if (updatedAt <= task.updatedAt) return { op_id, status: 'conflict', resolved_data: task };
  const fields = operation === 'delete' ? {} : { title, description, completed };
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  await task.set({ ...Object.fromEntries(given), deleted: operation === 'delete', updatedAt }).save();
  return { op_id, status: 'success', resolved_data: task };
}

const app = express();
app.use(express.json({ limit: '1mb' }));
app.post('/api/sync/batch', async (request, response) => {
  const processed = [];
  for (const item of request.body.items) processed.push(await apply(item));
  response.json({ status: 'completed', summary: { error: 0, pending: 0 }, processed_items: processed });
});
await sequelize.sync();
app.listen(port, '127.0.0.1', () => process.stdout.write('peer is up\n'));
