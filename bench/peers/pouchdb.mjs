// PouchDB server: express-pouchdb in front of PouchDB on LevelDB, with nothing mounted but what replication needs. LevelDB is left at its
// default, which does not sync each write to disk: what PouchDB promises is less than what it is compared with.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(import.meta.url);
const express = require('express');
const PouchDB = require('pouchdb-node');
const expressPouchdb = require('express-pouchdb');

const CHUNK = 1_000;
const env = JSON.parse(process.argv[2] ?? '{}');
const Database = PouchDB.defaults({ prefix: join(env.folder, '/') });
const app = express();
const options = { mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: join(env.folder, 'log.txt') };
app.use('/', expressPouchdb(Database, options));
// Behind the line above, which has to see it being made: it answers 404 for databases that it does not know.
const tasks = new Database('tasks');
await tasks.info();
for (let from = 0; from < env.fill; from += CHUNK) {
  const docs = Array.from({ length: Math.min(CHUNK, env.fill - from) }, (_, index) => ({
    _id: `task-${from + index + 1}`,
    title: `Number ${from + index + 1} of what has to be done`,
    description: 'As agreed on the phone, with everything that belongs to it and the receipt',
    completed: index % 3 === 0,
    updated_at: '2026-01-31T12:00:00.000000Z',
  }));
  await tasks.bulkDocs(docs);
}
app.listen(env.port, '127.0.0.1', () => process.stdout.write('peer is up\n'));
