// PgBouncer in transaction mode, the real one: every transaction may have another session, and startup parameters are refused.
import { expect } from 'chai';
import { isCi, requireDatabaseServer, testBackend } from '../support/environment.js';
import { createItem, newId, updateItem } from '../support/operations.js';
import { hasPgBouncer, type PgBouncer, startPgBouncer } from '../support/pgbouncer.js';
import { queryDatabase } from '../support/postgres.js';
import { type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

/** What the documentation named before `options` was sent, and after. */
const CONFIGURATIONS: Record<string, string[]> = {
  'without any setting': [],
  'that ignores the time limits': [
    'ignore_startup_parameters = statement_timeout,lock_timeout,idle_in_transaction_session_timeout',
  ],
  'that ignores all': [
    'ignore_startup_parameters = extra_float_digits,options,statement_timeout,lock_timeout,idle_in_transaction_session_timeout',
  ],
};

/** The queue in PostgreSQL listens, which no transaction can. */
if (testBackend === 'redis') {
  describe('behind PgBouncer', () => {
    before(function needPgBouncer() {
      if (hasPgBouncer()) return;
      if (isCi) throw new Error('pgbouncer is missing: apt-get install pgbouncer');
      process.stdout.write('      skipped: there is no /usr/sbin/pgbouncer; install the Debian package pgbouncer\n');
      this.skip();
    });

    for (const [what, settings] of Object.entries(CONFIGURATIONS)) {
      describe(what, () => {
        let system: System;
        let bouncer: PgBouncer | undefined;
        /** Past it, for the test itself. */
        let direct: string;
        before(async () => {
          const prepare = async (url: string) => {
            direct = url;
            bouncer = await startPgBouncer(url, settings);
            return { DATABASE_URL: bouncer.url };
          };
          system = await withQueue(startSystem(import.meta.url, { prepare, workers: 2 }));
        });
        after(async () => {
          await system.stop();
          await bouncer?.stop();
        });

        it('no push fails for prepared statements, and each operation has its effect once (I2)', async () => {
          // Lookups are prepared from a thousand operations on.
          await queryDatabase(direct, "SELECT setval('sync_queue_id_seq', 5000)");
          const id = newId('shared');
          expect((await system.push([createItem(id, { title: '0' })], {}, { prefer: 'wait=20' })).status).to.equal(200);
          for (let round = 0; round < 5; round += 1) {
            const pushes = Array.from({ length: 20 }, (_, n) =>
              system.push(
                [createItem(newId('task')), updateItem(id, { title: `${round} ${n}` })],
                {},
                { prefer: 'wait=20' },
              ),
            );
            const answers = await Promise.all(pushes);
            expect(answers.map(({ status }) => status)).to.deep.equal(answers.map(() => 200));
            const reads = Array.from({ length: 10 }, () => system.request('GET', '/api/sync/changes?limit=100'));
            for (const { status } of await Promise.all(reads)) expect(status).to.equal(200);
          }
          const [counted] = await queryDatabase(
            direct,
            `SELECT (SELECT count(*)::int FROM tasks) AS tasks,
              (SELECT count(*)::int FROM sync_queue WHERE status <> 'synced') AS unsettled`,
          );
          expect(counted).to.deep.equal({ tasks: 101, unsettled: 0 });
        });
      });
    }

    it('a setting that the session inherits and that cannot be set is refused with how to undo it', async () => {
      const bouncers: PgBouncer[] = [];
      const start = (setting: string, value: string) =>
        startSystem(import.meta.url, {
          workers: 0,
          prepare: async (url) => {
            const name = new URL(url).pathname.slice(1);
            await queryDatabase(requireDatabaseServer(), `ALTER DATABASE ${name} SET ${setting} = '${value}'`);
            const bouncer = await startPgBouncer(url);
            bouncers.push(bouncer);
            return { DATABASE_URL: bouncer.url };
          },
        });
      try {
        for (const [setting, value, shown] of [
          ['datestyle', 'German, DMY', 'DateStyle = German, DMY'],
          ['synchronous_commit', 'off', 'synchronous_commit = off'],
          ['default_transaction_isolation', 'serializable', 'default_transaction_isolation = serializable'],
          ['statement_timeout', '5ms', 'statement_timeout = 5 ms'],
        ] as const) {
          const error = await start(setting, value).catch((reason: unknown) => reason);
          expect(String(error), setting).to.match(/^ConfigError/);
          expect(String(error))
            .to.include(`begin with ${shown}`)
            .and.to.match(/ALTER DATABASE "test_\w+" RESET /);
        }
      } finally {
        for (const bouncer of bouncers) await bouncer.stop();
      }
    });
  });
}
