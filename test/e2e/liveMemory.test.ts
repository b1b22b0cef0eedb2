// Neither a reader that does not read nor one that wants everything makes an api process grow, and both get all that there is (I6, I8).
import { existsSync } from 'node:fs';
import { expect } from 'chai';
import { memoryOf, type RunningCluster, startProcesses } from '../support/cluster.js';
import { openChain, openEventStream } from '../support/eventStream.js';
import { idsOf, insertTasks, push, send } from '../support/live.js';
import { queryDatabase } from '../support/postgres.js';
import { eventually } from '../support/system.js';

const GROWTH_MAX_MB = 100;
const WARM_UP = 500;
/** /proc tells what a process holds; elsewhere these tests do not run. */
const canMeasure = existsSync('/proc/self/status');

/** Whether one more stream is let in. */
async function hasRoom(url: string) {
  const response = await fetch(`${url}/api/sync/stream`, { headers: { connection: 'close' } });
  await response.body?.cancel();
  return response.status === 200;
}

/** Reads the whole feed as lines, none of them kept. @returns the last one, which is no task */
async function readLines(url: string, onTask: (task: { seq: number }) => void) {
  const headers = { accept: 'application/x-ndjson', connection: 'close' };
  const response = await fetch(`${url}/api/sync/changes`, { headers });
  expect(response.status).to.equal(200);
  const decoder = new TextDecoder();
  let last: { cursor?: string } | undefined;
  let rest = '';
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      // Nothing follows the cursor.
      expect(last).to.equal(undefined);
      const read = JSON.parse(line);
      if (read.seq === undefined) last = read;
      else onTask(read);
    }
  }
  expect(rest).to.equal('');
  return last;
}

if (canMeasure) {
  describe('the memory of an api process', () => {
    let cluster: RunningCluster;
    let url = '';
    let pid = 0;
    beforeEach(async () => {
      cluster = await startProcesses(import.meta.url, { apis: 1, workers: 1, env: { STREAM_MAX: '1' } });
      url = cluster.urls[0] ?? '';
      pid = cluster.apis[0]?.pid ?? 0;
      expect(await push(url, idsOf('warm-up', WARM_UP), 'wait=20')).to.equal(200);
    });
    afterEach(() => cluster.stop());

    const PARTS = [0, 1, 2, 3, 4, 5];
    const LARGE = 1_000;
    /** 120 MB of changes, each part made known to the streams. */
    async function writeLarge() {
      for (const part of PARTS) {
        await insertTasks(cluster.database.url, `large-${part}`, LARGE, 20_000);
        expect(await send('POST', `${url}/api/tasks`, { id: `wakes-${part}`, title: 'Wakes' })).to.equal(201);
      }
    }
    const allLarge = PARTS.flatMap((part) => [
      ...Array.from({ length: LARGE }, (_, index) => `large-${part}-${index + 1}`),
      `wakes-${part}`,
    ]);

    it('stays bounded while a reader does not read, who then reads everything', async () => {
      const { chain, stream, broken } = await openChain(url);
      stream.pause();
      const before = memoryOf(pid, 'VmRSS');
      await writeLarge();
      expect(memoryOf(pid, 'VmHWM') - before).to.be.lessThan(GROWTH_MAX_MB);
      stream.resume();
      await eventually(() => chain.ids.length >= allLarge.length, 30_000);
      expect(chain.ids).to.deep.equal(allLarge);
      expect([broken, stream.ended()]).to.deep.equal([[], false]);
      stream.close();
    });

    it('lets go a reader that takes nothing, who continues from his last cursor', async () => {
      const { chain, stream, broken } = await openChain(url);
      stream.pause();
      await writeLarge();
      await eventually(() => hasRoom(url), 40_000, 250);
      stream.resume();
      await eventually(() => stream.ended());
      expect(chain.ids.length).to.be.lessThan(allLarge.length);
      const again = openEventStream(`${url}/api/sync/stream`, chain.follow, chain.cursor());
      await eventually(() => chain.ids.length >= allLarge.length, 30_000);
      expect(chain.ids).to.deep.equal(allLarge);
      expect(broken).to.deep.equal([]);
      again.close();
    });

    it('stays bounded while a new device reads 200,000 tasks as lines', async () => {
      const COUNT = 200_000;
      // A process that has served nothing yet grows by its own code and heap first.
      await insertTasks(cluster.database.url, 'first', COUNT / 10, 0);
      // What autovacuum does in time where tasks come one by one.
      await queryDatabase(cluster.database.url, 'ANALYZE tasks');
      await readLines(url, () => undefined);
      await insertTasks(cluster.database.url, 'many', COUNT - COUNT / 10 - WARM_UP, 0);
      await queryDatabase(cluster.database.url, 'ANALYZE tasks');
      const before = memoryOf(pid, 'VmRSS');
      let seq = 0;
      const last = await readLines(url, (task) => {
        if (task.seq !== seq + 1) throw new Error(`seq ${task.seq} after ${seq}`);
        seq = task.seq;
      });
      expect(seq).to.equal(COUNT);
      expect(last).to.have.all.keys('cursor');
      expect(memoryOf(pid, 'VmHWM') - before).to.be.lessThan(GROWTH_MAX_MB);
    });
  });
}
