// Single operations beside the devices' load, to time how the system is just now. The history knows them, so the check finds them too.
import { createItem } from '../support/operations.js';
import type { Answer, Client } from './client.js';
import type { RecordedOperation } from './history.js';
import type { Run } from './phases.js';

const CLIENT_ID = 'probe';

export interface Probes {
  /** Pushes one new operation. @param waitS how long its answer may wait for it; 0: not at all @throws NoAnswer */
  push(waitS: number): Promise<Answer>;
  /** Asks what became of those that were taken and not settled at once, as a device would. */
  settle(): Promise<void>;
}

export function createProbes(run: Run, client: Client): Probes {
  const open: RecordedOperation[] = [];
  const send = (recorded: RecordedOperation, prefer: string) =>
    client.send('POST', `${run.stack.apis()[0]?.url}/api/sync/batch`, { items: [recorded.item] }, { prefer });
  const tell = (recorded: RecordedOperation, answer: Answer) =>
    run.history.tell(recorded, String(answer.body.processed_items[0].status));
  return {
    async push(waitS) {
      const id = `probe-${run.history.operations.size}`;
      const { op_id, operation } = createItem(id);
      const updatedAt = new Date(Date.now() - 1_000).toISOString().replace('Z', '000Z');
      const data = { id, title: id, updated_at: updatedAt };
      const recorded = run.history.make({ client_id: CLIENT_ID, op_id, operation, data });
      run.history.invoke([recorded], CLIENT_ID);
      const answer = await send(recorded, waitS === 0 ? 'respond-async' : `wait=${waitS}`);
      if (answer.status < 300) tell(recorded, answer);
      else run.history.abandon([recorded]);
      if (answer.status === 202) open.push(recorded);
      return answer;
    },
    async settle() {
      for (const recorded of open) tell(recorded, await send(recorded, 'wait=10'));
    },
  };
}

/** What is wrong with the answer to a probe while something is broken: only 2xx and a 503 that says when to come back are right. */
export function judgeProbe({ status, tookMs, headers }: Answer, withinMs: number): string[] {
  const findings: string[] = [];
  if (![200, 202, 503].includes(status)) findings.push(`a push was answered ${status}`);
  if (status === 503 && headers['retry-after'] === undefined) findings.push('503 without Retry-After');
  if (tookMs > withinMs) findings.push(`a push was answered ${status} after ${Math.round(tookMs)} ms`);
  return findings;
}
