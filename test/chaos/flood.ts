// More load than anybody wants: batches of new operations, either one after the other by so many senders, or at a rate that does not care
// for answers.
import { setTimeout as sleep } from 'node:timers/promises';
import { createFloodSocket } from './floodSocket.js';

export interface FloodCounts {
  sent: number;
  /** 0: no answer. */
  statuses: Record<number, number>;
}

export type Flood = ReturnType<typeof createFlood>;

const SOCKETS = 256;
const TIMEOUT_MS = 30_000;
const TICK_MS = 20;
const FAULTS_MAX = 5;
const TASKS = 5_000;

/** @param batchSize operations in a batch */
export function createFlood(url: string, batchSize: number, signal: AbortSignal) {
  const sockets = Array.from({ length: SOCKETS }, () => createFloodSocket(url, TIMEOUT_MS));
  /** Both loops keep as many batches under way as there are sockets, or fewer. */
  const free = [...sockets];
  const statuses: Record<number, number> = {};
  const faults: string[] = [];
  let number = 0;
  let sent = 0;

  /** Refused, and to be sent again: nothing of it was stored. */
  const refused: string[] = [];

  function makeBody(): string {
    const items = Array.from({ length: batchSize }, () => {
      number += 1;
      return `{"client_id":"flood","op_id":"${number}","operation":"create","data":{"id":"task-${number % TASKS}","title":"Title ${number}"}}`;
    });
    return `{"items":[${items.join(',')}]}`;
  }

  async function push(): Promise<void> {
    sent += 1;
    const batch = refused.pop() ?? makeBody();
    const socket = free.pop();
    if (socket === undefined) throw new Error(`more than ${SOCKETS} batches are under way`);
    const { status, retryAfter } = await socket.post('/api/sync/batch', 'Prefer: respond-async\r\n', batch);
    free.push(socket);
    statuses[status] = (statuses[status] ?? 0) + 1;
    const isRefusal = status === 429 || status === 503;
    if (isRefusal) refused.push(batch);
    const isWrong = isRefusal ? retryAfter === undefined : ![0, 200, 202].includes(status);
    if (isWrong && faults.length < FAULTS_MAX) faults.push(`a batch was answered ${status}, Retry-After ${retryAfter}`);
  }

  return {
    batchSize,
    sent: () => sent * batchSize,
    acknowledged: () => ((statuses[200] ?? 0) + (statuses[202] ?? 0)) * batchSize,
    counts: (): FloodCounts => ({ sent, statuses: { ...statuses } }),
    countsSince: (before: FloodCounts): FloodCounts => ({
      sent: sent - before.sent,
      statuses: Object.fromEntries(
        Object.entries(statuses).map(([status, count]) => [status, count - (before.statuses[Number(status)] ?? 0)]),
      ),
    }),
    faults: () => [...faults],
    /** Each of `senders` sends the next batch when the last one is answered. */
    async closedLoop(senders: number, durationMs: number) {
      const until = performance.now() + durationMs;
      const sender = async () => {
        while (performance.now() < until && !signal.aborted) await push();
      };
      await Promise.all(Array.from({ length: senders }, sender));
    },
    /** Sends at this rate; beyond what its sockets hold, batches wait in this process as they would on their devices. */
    async openLoop(batchesPerS: number, durationMs: number) {
      const startedAt = performance.now();
      const waiting = new Set<Promise<void>>();
      for (let made = 0; performance.now() - startedAt < durationMs && !signal.aborted; await sleep(TICK_MS)) {
        const due = ((performance.now() - startedAt) / 1_000) * batchesPerS;
        // Never more under way than there are sockets for: what waits here would be memory, not load.
        for (; made < due && waiting.size < SOCKETS; made += 1) {
          const pushing: Promise<void> = push().finally(() => waiting.delete(pushing));
          waiting.add(pushing);
        }
      }
      await Promise.all(waiting);
    },
    close() {
      for (const socket of sockets) socket.close();
    },
  };
}
