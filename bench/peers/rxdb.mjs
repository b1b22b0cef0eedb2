// RxDB server: its replication endpoint in front of RxDB's memory storage. Nothing of it survives the process.
import { createRxDatabase } from 'rxdb/plugins/core';
import { getRxStorageMemory } from 'rxdb/plugins/storage-memory';
import { RxServerAdapterExpress } from 'rxdb-server/plugins/adapter-express';
import { createRxServer } from 'rxdb-server/plugins/server';

const CHUNK = 1_000;
const env = JSON.parse(process.argv[2] ?? '{}');
const database = await createRxDatabase({ name: 'bench', storage: getRxStorageMemory() });
const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: {
    id: { type: 'string', maxLength: 128 },
    title: { type: 'string' },
    description: { type: 'string' },
    completed: { type: 'boolean' },
    updated_at: { type: 'string' },
  },
  required: ['id', 'title'],
};
const { tasks } = await database.addCollections({ tasks: { schema } });
for (let from = 0; from < env.fill; from += CHUNK) {
  const rows = Array.from({ length: Math.min(CHUNK, env.fill - from) }, (_, index) => ({
    id: `task-${from + index + 1}`,
    title: `Number ${from + index + 1} of what has to be done`,
    description: 'As agreed on the phone, with everything that belongs to it and the receipt',
    completed: index % 3 === 0,
    updated_at: '2026-01-31T12:00:00.000000Z',
  }));
  await tasks.bulkInsert(rows);
}
const server = await createRxServer({
  database,
  adapter: RxServerAdapterExpress,
  port: env.port,
  hostname: '127.0.0.1',
});
server.addReplicationEndpoint({ name: 'tasks', collection: tasks });
await server.start();
process.stdout.write('peer is up\n');
