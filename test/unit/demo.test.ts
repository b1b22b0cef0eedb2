// The demo's pure parts: the recording, moving it to now, counting what became of it, and conflicts in words.
// What the server would answer comes from the real merge rules, so the recording keeps its conflicts when they change.
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { matchOutcomes, type Outcome, tallyOutcomes } from '../../scripts/demo/outcomes.js';
import { clientIdOf, createRun, prepareBatch, type Run } from '../../scripts/demo/prepareRun.js';
import { createProgress, formatPace, formatTable, formatVerdict } from '../../scripts/demo/printReport.js';
import {
  type Device,
  formatRecording,
  type RecordedItem,
  readRecording,
  recordingPath,
} from '../../scripts/demo/recording.js';
import { type AnsweredItem, retryAfterMs } from '../../scripts/demo/sendBatch.js';
import { simulateDay } from '../../scripts/demo/simulateDay.js';
import { chooseConflicts, findConflicts, tellConflict } from '../../scripts/demo/tellConflicts.js';
import { fixEffectiveTimes } from '../../src/sync/clock.js';
import { foldOperations } from '../../src/sync/merge.js';
import { fieldsOf, readOperation } from '../../src/sync/operation.js';
import type { Task } from '../../src/sync/task.js';
import { fromMicros, parseTimestamp } from '../../src/sync/timestamp.js';

const SALT = '6f2b7a52-3a5c-4a39-8f0e-2d3e5a1b9c11';
const NOW_MS = Date.parse('2027-01-05T08:30:00.000Z');
const recording = readRecording();
const allItems = recording.batches.flatMap((batch) => batch.request.items);

/** Answers every batch of a run with the product's own rules, without a server. */
function replayPurely(run: Run): Outcome[] {
  const tasks = new Map<string, Task>();
  const known = new Map<string, string>();
  let seq = 0;
  return recording.batches.flatMap((batch) => {
    const { client_timestamp, items } = prepareBatch(batch, run, NOW_MS);
    const read = items.map(readOperation);
    const given = read.map((one) => ('operation' in one ? one.operation.updatedAt : undefined));
    const now = BigInt(NOW_MS) * 1000n;
    const { times, skewMs } = fixEffectiveTimes(given, parseTimestamp(client_timestamp), now, now);
    const processed = read.map((one, index): AnsweredItem => {
      if ('invalid' in one) return { index, status: 'error', message: one.invalid.message, resolved_data: null };
      const { clientId, opId, kind, taskId = '', data } = one.operation;
      const earlier = known.get(opId);
      if (earlier === undefined) {
        const operation = { clientId, opId, kind, taskId, fields: fieldsOf(data), updatedAt: times[index] ?? '' };
        const folded = foldOperations({
          tasks,
          operations: [operation],
          seq,
          now: fromMicros(now),
          newServerId: () => '',
        });
        for (const task of folded.changed) tasks.set(task.id, task);
        seq = folded.seq;
        known.set(opId, folded.settled[0]?.outcome ?? 'pending');
      }
      const task = tasks.get(taskId);
      const resolved_data = task && { ...task, updated_at: task.updatedAt, updated_by: task.updatedBy };
      return {
        index,
        status: known.get(opId) ?? 'pending',
        duplicate: earlier !== undefined,
        resolved_data: resolved_data ?? null,
      };
    });
    const clock = skewMs === undefined ? {} : { clock: { skew_ms: skewMs } };
    return matchOutcomes(batch, { status: 'completed', processed_items: processed, ...clock });
  });
}

describe('the recorded day', () => {
  it('is what its seed gives, byte for byte', () => {
    expect(formatRecording(simulateDay(recording.seed))).to.equal(readFileSync(recordingPath, 'utf8'));
    expect(formatRecording(simulateDay(recording.seed + 1))).not.to.equal(readFileSync(recordingPath, 'utf8'));
  });

  it('holds about 300 operations of three devices, with resends and one broken operation', () => {
    expect(allItems).to.have.length.within(280, 349);
    expect([...new Set(recording.batches.map(({ device }) => device))]).to.have.members(['phone', 'laptop', 'tablet']);
    expect(new Set(allItems.map(({ op_id }) => op_id)).size).to.be.within(270, allItems.length - 20);
    expect(allItems.filter((item) => 'invalid' in readOperation(item))).to.have.lengthOf(1);
    expect(Math.max(...recording.batches.map(({ request }) => request.items.length))).to.be.above(50);
  });

  it('is written down in the order of sending, each device with its own clock', () => {
    const sentAt = recording.batches.map(({ sent_at }) => sent_at);
    expect(sentAt).to.deep.equal([...sentAt].sort());
    for (const { device, sent_at, request } of recording.batches) {
      const errorMs = Date.parse(request.client_timestamp) - Date.parse(sent_at);
      expect(errorMs).to.equal(recording.clock_errors_ms[device]);
      for (const { data } of request.items) expect(data.updated_at < request.client_timestamp).to.equal(true);
    }
  });

  it('has at least ten conflicts, and the same ones in every run', () => {
    const first = replayPurely(createRun(recording, SALT, NOW_MS));
    const second = replayPurely(createRun(recording, SALT.replace('6', '7'), NOW_MS - 3_600_000));
    const fates = first.map(({ fate }) => fate);
    expect(fates.filter((fate) => fate === 'conflicts')).to.have.length.above(9);
    expect(fates).not.to.include.members(['not found']);
    expect(fates).not.to.include.members(['unanswered']);
    expect(second.map(({ fate }) => fate)).to.deep.equal(fates);
  });

  it('tells an edit, a corrected clock and a delete', () => {
    const run = createRun(recording, SALT, NOW_MS);
    const chosen = chooseConflicts(findConflicts(replayPurely(run), run));
    expect(chosen.map(({ kind }) => kind)).to.deep.equal(['edit', 'clock', 'delete']);
    expect(chosen.map((conflict) => tellConflict(conflict, recording.recorded_day))).to.deep.equal([
      "'Buy milk and bread' (laptop, 12:52) lost to 'Buy oat milk' (phone, 13:20): the later edit wins.",
      "'Book the dentist for Monday' (tablet, Wed 22:50, though its clock said Wed 23:30) lost to 'Book the dentist for Thursday at 16:00' (phone, Wed 23:10): the tablet's clock was 40 min ahead and was corrected; uncorrected, it would have won.",
      "Deleting 'Print the concert tickets' (phone, 17:41) lost to 'Print the concert tickets, two copies' (laptop, 18:25): the edit is later than the delete, so the task stays.",
    ]);
  });
});

describe('a run of the recording', () => {
  const run = createRun(recording, SALT, NOW_MS);
  const tabletBatch = recording.batches.find(({ device }) => device === 'tablet');
  if (!tabletBatch) throw new Error('The recording has no tablet.');

  it('moves all edits by one distance, so that the day ends now', () => {
    const prepared = prepareBatch(tabletBatch, run, NOW_MS + 5_000);
    const moved = prepared.items.map((item, index) => {
      return Date.parse(item.data.updated_at) - Date.parse(tabletBatch.request.items[index]?.data.updated_at ?? '');
    });
    expect(new Set(moved)).to.deep.equal(new Set([NOW_MS - Date.parse(recording.ends_at)]));
  });

  it("gives client_timestamp the present and the error of the device's clock", () => {
    const prepared = prepareBatch(tabletBatch, run, NOW_MS + 5_000);
    expect(Date.parse(prepared.client_timestamp)).to.equal(NOW_MS + 5_000 + 40 * 60_000);
  });

  it('has its own ids, and the same ones for a resend', () => {
    const idsOf = (of: Run) => {
      return prepareBatch(tabletBatch, of, NOW_MS).items.map((item) => [item.client_id, item.op_id, item.data.id]);
    };
    const other = createRun(recording, SALT.replace('6', '7'), NOW_MS);
    expect(idsOf(run)).to.deep.equal(idsOf(run));
    for (const [index, ids] of idsOf(other).entries()) {
      for (const [part, id] of ids.entries()) expect(id).not.to.equal(idsOf(run)[index]?.[part]);
    }
  });
});

describe('conflicts in words', () => {
  const run: Run = { salt: SALT, shiftMs: 1_000_000 };
  const shifted = (time: string) => new Date(Date.parse(`2026-03-12T${time}Z`) + run.shiftMs).toISOString();

  function outcome(
    device: Device,
    time: string,
    write: Partial<RecordedItem['data']> | 'delete',
    rest: Partial<Outcome> = {},
  ) {
    const data = { id: 'task', updated_at: `2026-03-12T${time}Z`, ...(write === 'delete' ? {} : write) };
    const operation = write === 'delete' ? 'delete' : 'update';
    const item: RecordedItem = { client_id: device, op_id: `${device} ${time}`, operation, data };
    const made: Outcome = { device, item, fate: 'applied', skewMs: 0, ...rest };
    return made;
  }

  function lostTo(device: Device, time: string, title: string, deleted = false): Partial<Outcome> {
    const resolved_data = { title, deleted, updated_at: shifted(time), updated_by: clientIdOf(device, run) };
    return { fate: 'conflicts', answer: { index: 0, status: 'conflict', resolved_data } };
  }

  const cases: [string, Outcome[], string][] = [
    [
      'a later title',
      [
        outcome('laptop', '10:30:00', { title: 'Buy oat milk' }),
        outcome('phone', '10:25:00', { title: 'Buy milk' }, lostTo('laptop', '10:30:00', 'Buy oat milk')),
      ],
      "'Buy milk' (phone, 10:25) lost to 'Buy oat milk' (laptop, 10:30): the later edit wins.",
    ],
    [
      'a later tick over a note',
      [
        outcome('laptop', '10:30:00', { completed: true }),
        outcome('phone', '10:25:00', { description: '2 l' }, lostTo('laptop', '10:30:00', 'Buy milk')),
      ],
      "The note '2 l' on 'Buy milk' (phone, 10:25) lost to ticking off 'Buy milk' (laptop, 10:30): the later edit wins.",
    ],
    [
      'a later delete',
      [
        outcome('laptop', '10:30:00', 'delete'),
        outcome('phone', '10:25:00', { title: 'Buy milk' }, lostTo('laptop', '10:30:00', 'Buy', true)),
      ],
      "'Buy milk' (phone, 10:25) lost to deleting 'Buy milk' (laptop, 10:30): the delete is later, so the task stays deleted.",
    ],
    [
      'a write that somebody else sent',
      [outcome('phone', '10:25:00', 'delete', lostTo('laptop', '10:30:00', 'Buy milk'))],
      "Deleting 'Buy milk' (phone, 10:25) lost to 'Buy milk' (laptop, 10:30): the edit is later than the delete, so the task stays.",
    ],
    [
      'a clock that was corrected',
      [
        outcome('phone', '10:30:00', { title: 'Oats' }),
        outcome('tablet', '11:05:00', { title: 'Nuts' }, { ...lostTo('phone', '10:30:00', 'Oats'), skewMs: 2_400_012 }),
      ],
      "'Nuts' (tablet, 10:25, though its clock said 11:05) lost to 'Oats' (phone, 10:30): the tablet's clock was 40 min ahead and was corrected; uncorrected, it would have won.",
    ],
  ];

  for (const [name, outcomes, sentence] of cases) {
    it(`tells ${name}`, () => {
      expect(findConflicts(outcomes, run).map((conflict) => tellConflict(conflict, '2026-03-12'))).to.deep.equal([
        sentence,
      ]);
    });
  }

  it("leaves out what lost to the same device or to somebody else's", () => {
    const toItself = outcome('phone', '10:25:00', { title: 'Buy milk' }, lostTo('phone', '10:30:00', 'Buy oat milk'));
    const stranger = { title: 'x', updated_at: shifted('10:30:00'), updated_by: 'stranger' };
    const toStranger = outcome('phone', '10:25:00', 'delete', {
      ...{ fate: 'conflicts', answer: { index: 0, status: 'conflict', resolved_data: stranger } },
    });
    expect(findConflicts([toItself, toStranger], run)).to.deep.equal([]);
  });
});

describe('the report', () => {
  const outcomes = replayPurely(createRun(recording, SALT, NOW_MS));
  const emptyAnswer = { status: 'completed' as const, processed_items: [] };

  it('counts every operation once, per device and in total', () => {
    const rows = tallyOutcomes(outcomes, new Map([['phone', 500]]));
    for (const { sent, fates } of rows) {
      expect(Object.values(fates).reduce((sum, count) => sum + count, 0)).to.equal(sent);
    }
    expect(rows.map(({ name }) => name)).to.deep.equal(['laptop', 'phone', 'tablet', 'total']);
    expect(rows.at(-1)?.sent).to.equal(allItems.length);
  });

  it('prints a table whose columns line up, with rare fates only when they occur', () => {
    const rows = tallyOutcomes(outcomes, new Map([['phone', 500]]));
    const lines = formatTable(rows).split('\n');
    expect(new Set(lines.map((line) => line.length)).size).to.equal(1);
    expect(lines[0]).to.match(/^ +sent +applied +conflicts +duplicates +rejected +ops\/s$/);
    const lost = tallyOutcomes(
      [...outcomes, ...matchOutcomes(recording.batches[0] ?? expect.fail(), emptyAnswer)],
      new Map(),
    );
    expect(formatTable(lost).split('\n')[0]).to.include('unanswered');
  });

  it('says how long a batch took', () => {
    const sentence = '64 batches, one after the other, in 2.4 s: 37 ms each until the answer.';
    expect(formatPace(64, 2_380)).to.equal(sentence);
  });

  it('says whether anything was lost', () => {
    expect(formatVerdict(outcomes)).to.equal(`All ${allItems.length} operations have an answer; 0 lost.`);
    const one = outcomes.slice(0, 1).map((outcome): Outcome => ({ ...outcome, fate: 'unanswered' }));
    expect(formatVerdict([...outcomes.slice(1), ...one])).to.match(/; 1 have none\.$/);
  });

  it('draws a bar on a terminal and plain lines elsewhere', () => {
    const drawn = (isTTY: boolean) => {
      const written: string[] = [];
      const progress = createProgress({ write: (text) => written.push(text), isTTY, columns: 40 }, 16);
      for (let sent = 1; sent <= 16; sent += 1)
        progress.advance(sent, 'a note that is much too long for a narrow terminal');
      progress.end();
      return written;
    };
    expect(drawn(true)).to.have.lengthOf(17);
    expect(drawn(true).every((text) => text.length <= 39 + '\r\x1b[K'.length)).to.equal(true);
    expect(drawn(false)).to.have.lengthOf(8);
    expect(drawn(false).at(-1)).to.match(/^16\/16 batches, 16 operations: a note/);
  });

  it('honours Retry-After within limits', () => {
    const cases: [string | null, number][] = [
      ['1', 1_000],
      ['0', 100],
      ['0.3', 300],
      ['3600', 5_000],
      [null, 500],
      ['soon', 500],
    ];
    for (const [header, ms] of cases) expect(retryAfterMs(header), String(header)).to.equal(ms);
  });
});
