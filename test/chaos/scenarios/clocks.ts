// Scenario 16: clocks that are wrong by up to years. Times of devices that say their clock are shifted, all others are kept out of the
// future, and whatever comes out of it, all copies agree (I4, DESIGN 3).
import { toMicros } from '../../../src/sync/timestamp.js';
import { queryDatabase } from '../../support/postgres.js';
import { pauseUntil } from '../fleet.js';
import { keyOf } from '../history.js';
import { type Run, runPhases } from '../phases.js';
import type { Scenario } from '../scenario.js';
import { startStack } from '../stack.js';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;
/** -1 year, -1 h, +4 min, +1 h, +10 years, and one that is right. */
const SKEWS_MS = [-YEAR_MS, -HOUR_MS, 240_000, HOUR_MS, 10 * YEAR_MS, 0];
/** What a request may take from the device's look at its clock until it is received; that much a shifted time may be late. */
const DELAY_LIMIT_MICROS = 10_000_000n;
const MILLISECOND = 1_000n;
/** The time that missing and future times become is read after the time of acceptance, in the same request. */
const SAME_REQUEST_MICROS = 500_000n;

const skewOf = (index: number) => ({
  skewMs: SKEWS_MS[index % SKEWS_MS.length] ?? 0,
  tellsClock: Math.floor(index / SKEWS_MS.length) % 2 === 0,
});

export const clocks: Scenario = {
  number: 16,
  name: 'clocks',
  title: 'device clocks at -1 year, -1 h, +4 min, +1 h, +10 years',
  backends: ['redis', 'postgres'],
  options: { durationMs: 30_000, devices: 24, operations: 6_000, apis: 1, workers: 2, rounds: 0 },
  short: { durationMs: 6_000, devices: 12, operations: 600, workers: 1 },
  shortOn: ['postgres'],
  async run(context) {
    const stack = await startStack(context, context.options);
    context.countFault('wrong clocks');
    await runPhases(context, {
      stack,
      load: { skewOf },
      faults: (run) => pauseUntil(run.until, context.signal),
      check: checkTimes,
    });
    await stack.stopServers();
  },
};

interface Times {
  clientId: string;
  opId: string;
  effective: string;
  acceptedAt: string;
}

const time = (column: string) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

async function checkTimes({ stack, history }: Run): Promise<string[]> {
  const rows = await queryDatabase<Times>(
    stack.databaseUrl,
    `SELECT client_id AS "clientId", op_id AS "opId", ${time('updated_at')} AS effective, ${time('created_at')} AS "acceptedAt" FROM sync_queue`,
  );
  const found = rows.flatMap((row) => {
    const written = history.operations.get(keyOf(row.clientId, row.opId))?.item.data.updated_at;
    const wrong = written === undefined ? undefined : judge(row, written);
    return wrong === undefined ? [] : [`${row.opId}: written ${written}, effective ${row.effective}: ${wrong}`];
  });
  return found.slice(0, 5);
}

/** What is wrong with an effective time, in words. */
function judge({ clientId, effective, acceptedAt }: Times, written: string): string | undefined {
  const { skewMs, tellsClock } = skewOf(Number(clientId.split('-')[1]));
  const accepted = toMicros(acceptedAt);
  const took = toMicros(effective);

  if (took > accepted + SAME_REQUEST_MICROS) return `it lies after its acceptance (${acceptedAt})`;
  if (tellsClock && skewMs !== 0) {
    const wanted = toMicros(written) - BigInt(skewMs) * MILLISECOND;
    const isShifted = took >= wanted - MILLISECOND && took <= wanted + DELAY_LIMIT_MICROS;
    return isShifted ? undefined : 'it is not shifted by the skew of its device';
  }
  if (toMicros(written) <= accepted) return effective === written ? undefined : 'it was changed without need';
  return took >= accepted - MILLISECOND ? undefined : 'it lies in the future and was not set to the time of acceptance';
}
