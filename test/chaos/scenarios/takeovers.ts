// Scenarios 27 and 28: the address of the database leads to an earlier state of it while the processes stay up: a standby that lags is promoted,
// and a backup takes the place of the database.
import { queryDatabase } from '../../support/postgres.js';
import { takeBackup } from '../../support/timeLine.js';
import { startProxy, type TcpProxy } from '../proxy.js';
import type { Scenario } from '../scenario.js';
import { startStandby } from '../servers.js';
import { startStack } from '../stack.js';
import { runTakeover } from '../takeover.js';

const OPTIONS = { durationMs: 30_000, devices: 4, operations: 1_200, apis: 2, workers: 2, rounds: 0 };
const SHORT = { durationMs: 6_000, devices: 3, operations: 240, apis: 1, workers: 1 };

export const laggingStandby: Scenario = {
  number: 27,
  name: 'lagging-standby',
  title: 'the primary dies and a standby that lags takes over its address, under open streams',
  backends: ['redis', 'postgres'],
  options: OPTIONS,
  short: SHORT,
  async run(context) {
    let address: TcpProxy | undefined;
    const stack = await startStack(context, {
      ...context.options,
      databaseUrl: async (direct) => {
        address = await startProxy(direct, context.seed);
        return address.url;
      },
    });
    const replication = await startProxy(stack.databaseUrl, context.seed + 1);
    const standby = await startStandby(context.folder, stack.postgres, replication.url, context.signal);
    try {
      await runTakeover(context, {
        stack,
        async fallBehind() {
          await replication.set({ refuse: true });
          replication.resetOpen();
        },
        async takeOver() {
          await stack.postgres.end('SIGKILL');
          await queryDatabase(standby.url, 'SELECT pg_promote(true, 30)');
          address?.leadTo(standby.url);
          return standby.url;
        },
      });
    } finally {
      await replication.close();
      await address?.close();
      await standby.stop();
    }
  },
};

export const restoredBackup: Scenario = {
  number: 28,
  name: 'restored-backup',
  title: 'a backup takes the place of the database, under open streams',
  backends: ['redis', 'postgres'],
  options: OPTIONS,
  async run(context) {
    const stack = await startStack(context, context.options);
    let restore = async () => {};
    await runTakeover(context, {
      stack,
      async fallBehind() {
        ({ restore } = await takeBackup(stack.databaseUrl));
      },
      async takeOver() {
        await restore();
        return stack.databaseUrl;
      },
    });
  },
};
