// The sentences that tell people what became of their edits: one table, every kind of outcome in it.
import { expect } from 'chai';
import { findCorrection, fixEffectiveTimes } from '../../src/sync/clock.js';
import { explainOperation, type OperationStory } from '../../src/sync/explain.js';
import { fromMicros, toMicros } from '../../src/sync/timestamp.js';
import { describeDuration, quote, tellTimes } from '../../src/sync/wording.js';
import { at } from '../support/merge.js';

const NOW = at(59);
const OAT = { kind: 'update' as const, fields: { title: 'Buy oat milk' } };
const winner = { updatedAt: at(30), clientId: 'laptop-2', opId: 'w', content: OAT };
const tabletAt25 = { updatedAt: at(25), clientId: 'tablet', opId: 't' };
const remove = { kind: 'delete' as const, fields: {} };

function story(changes: Partial<OperationStory>): OperationStory {
  return {
    kind: 'update',
    fields: { title: 'Buy milk' },
    taskId: 't1',
    taskTitle: 'Buy oat milk',
    clientId: 'phone-1',
    opId: 'o1',
    updatedAt: at(25),
    status: 'success',
    seq: null,
    broughtBack: false,
    outcomeCode: null,
    fieldOutcomes: null,
    retryCount: 0,
    maxRetries: 3,
    error: null,
    lastAttemptedAt: at(40),
    ...changes,
  };
}

const ahead = { skewMs: 2_399_999, adjustedMs: -2_399_999, isShifted: true, isClamped: false, isMoved: false };
const failed = { status: 'error' as const, error: 'value too long.\n' };
const pending = { status: 'pending' as const, lastAttemptedAt: null };

const sentences: [what: string, Partial<OperationStory>, sentence: string][] = [
  ['success', { seq: 7 }, "'Buy milk' from phone-1 at 10:25 was applied."],
  [
    'success of a delete',
    { ...remove, seq: 7 },
    "The delete of 'Buy oat milk' from phone-1 at 10:25 was applied: it deleted the task.",
  ],
  [
    'success that was in already',
    {},
    "'Buy milk' from phone-1 at 10:25 changed nothing, because it had been applied before.",
  ],
  [
    'success in some fields, from before winners were kept',
    { seq: 7, fieldOutcomes: { title: 'applied', completed: 'kept_server' } },
    "'Buy milk' from phone-1 at 10:25 was applied in part (title); the server kept newer edits of completed.",
  ],
  [
    'success in some fields, with the write that kept the others, by what it wrote of them',
    {
      seq: 7,
      fieldOutcomes: { title: 'applied', completed: 'kept_server' },
      lostTo: { ...winner, content: { kind: 'create', fields: { title: 'Buy oat milk', completed: true } } },
    },
    "'Buy milk' from phone-1 at 10:25 was applied in part (title) and lost to the edit of 'Buy oat milk' (completed: yes) from laptop-2 at 10:30, because later writes win.",
  ],
  [
    'success in one field, with a winner each of the others',
    {
      seq: 7,
      fieldOutcomes: { title: 'kept_server', description: 'kept_server', completed: 'applied' },
      lostTo: tabletAt25,
      lostToByField: { description: tabletAt25, title: winner },
    },
    "'Buy milk' from phone-1 at 10:25 was applied in part (completed) and lost to 'Buy oat milk' from laptop-2 at 10:30 (title) and to a write from tablet at 10:25 (description), because later writes win and of two writes at the same time the one with the higher client_id wins.",
  ],
  [
    'success in a task that stays deleted',
    {
      seq: 7,
      fieldOutcomes: { title: 'applied', deleted: 'kept_server' },
      lostTo: { ...winner, content: remove },
    },
    "'Buy milk' from phone-1 at 10:25 was applied in part (title) and lost to the delete of 'Buy oat milk' from laptop-2 at 10:30, because later writes win.",
  ],
  [
    'conflict with an edit and a delete',
    {
      status: 'conflict',
      lostTo: { ...winner, content: remove },
      lostToByField: {
        title: { ...winner, clientId: 'tablet', updatedAt: at(28) },
        deleted: { ...winner, content: remove },
      },
    },
    "'Buy milk' from phone-1 at 10:25 lost to 'Buy oat milk' from tablet at 10:28 (title) and to the delete of 'Buy oat milk' from laptop-2 at 10:30, because later writes win.",
  ],
  [
    'conflict with three writes',
    {
      status: 'conflict',
      lostTo: { ...winner, updatedAt: at(40), content: remove },
      lostToByField: {
        title: winner,
        completed: { ...tabletAt25, updatedAt: at(28), content: { kind: 'update', fields: { completed: true } } },
        deleted: { ...winner, updatedAt: at(40), content: remove },
      },
    },
    "'Buy milk' from phone-1 at 10:25 lost to 'Buy oat milk' from laptop-2 at 10:30 (title), to the edit of 'Buy oat milk' (completed: yes) from tablet at 10:28 and to the delete of 'Buy oat milk' from laptop-2 at 10:40, because later writes win.",
  ],
  [
    'conflict with a write of other fields, from the time of lww',
    {
      status: 'conflict',
      lostTo: winner,
      lostToByField: { completed: winner, description: { ...tabletAt25, updatedAt: at(28) } },
    },
    "'Buy milk' from phone-1 at 10:25 lost to a write from tablet at 10:28 (description) and to 'Buy oat milk' from laptop-2 at 10:30 (completed), because later writes win.",
  ],
  [
    'conflict in fields of which two have one winner',
    {
      status: 'conflict',
      lostTo: winner,
      lostToByField: {
        title: winner,
        description: { ...winner, clientId: 'tablet', content: undefined },
        completed: winner,
      },
    },
    "'Buy milk' from phone-1 at 10:25 lost to 'Buy oat milk' from laptop-2 at 10:30 (title, completed) and to a write from tablet at 10:30 (description), because later writes win.",
  ],
  [
    'conflict by its precondition',
    { status: 'conflict', outcomeCode: 'precondition_failed' },
    "'Buy milk' from phone-1 at 10:25 changed nothing, because the task had changed since the device saw it.",
  ],
  [
    'conflict with a task that is gone for good',
    { status: 'conflict', outcomeCode: 'deleted_remotely' },
    "'Buy milk' from phone-1 at 10:25 changed nothing, because the task was deleted long ago and its content is gone.",
  ],
  [
    'brought back',
    { seq: 7, broughtBack: true },
    "'Buy milk' from phone-1 at 10:25 brought the deleted task back, because it is later than the delete.",
  ],
  [
    'conflict on a live task, with a corrected clock',
    { status: 'conflict', lostTo: winner, correction: ahead },
    "'Buy milk' from phone-1 at 10:25 lost to 'Buy oat milk' from laptop-2 at 10:30, because later writes win; phone-1's clock was 40 min ahead and was corrected.",
  ],
  [
    'conflict with a delete',
    { status: 'conflict', lostTo: { ...winner, content: remove } },
    "'Buy milk' from phone-1 at 10:25 lost to the delete of 'Buy oat milk' from laptop-2 at 10:30, because later writes win.",
  ],
  [
    'conflict of a delete',
    { ...remove, status: 'conflict', lostTo: winner },
    "The delete of 'Buy oat milk' from phone-1 at 10:25 lost to 'Buy oat milk' from laptop-2 at 10:30, because later writes win.",
  ],
  [
    'conflict of a delete whose task is gone',
    { ...remove, taskTitle: undefined, status: 'conflict', lostTo: winner },
    "The delete of task 't1' from phone-1 at 10:25 lost to 'Buy oat milk' from laptop-2 at 10:30, because later writes win.",
  ],
  [
    'conflict with an edit of other fields',
    {
      status: 'conflict',
      lostTo: { ...winner, content: { kind: 'update', fields: { completed: true, description: null } } },
    },
    "'Buy milk' from phone-1 at 10:25 lost to the edit of 'Buy oat milk' (completed: yes, description) from laptop-2 at 10:30, because later writes win.",
  ],
  [
    'conflict of an edit that sets nothing',
    { fields: {}, status: 'conflict', lostTo: winner },
    "The edit of 'Buy oat milk' (nothing set) from phone-1 at 10:25 lost to 'Buy oat milk' from laptop-2 at 10:30, because later writes win.",
  ],
  [
    'conflict whose winner left the log',
    { fields: { completed: false }, status: 'conflict', lostTo: { ...winner, content: undefined } },
    "The edit of 'Buy oat milk' (completed: no) from phone-1 at 10:25 lost to a write from laptop-2 at 10:30, because later writes win.",
  ],
  [
    'conflict from before winners were kept',
    { status: 'conflict' },
    "'Buy milk' from phone-1 at 10:25 lost to a later write, because later writes win.",
  ],
  [
    'conflict at the same time',
    { status: 'conflict', lostTo: { ...winner, updatedAt: at(25), clientId: 'tablet' } },
    "'Buy milk' from phone-1 at 10:25 lost to 'Buy oat milk' from tablet at 10:25, because of two writes at the same time the one with the higher client_id wins.",
  ],
  [
    'conflict at the same time on one device',
    { status: 'conflict', lostTo: { ...winner, updatedAt: at(25), clientId: 'phone-1' } },
    "'Buy milk' from phone-1 at 10:25 lost to 'Buy oat milk' from phone-1 at 10:25, because of two writes at the same time the one with the higher op_id wins.",
  ],
  [
    'conflict within a minute: seconds',
    { status: 'conflict', lostTo: { ...winner, updatedAt: '2026-01-01T10:25:09.500000Z' } },
    "'Buy milk' from phone-1 at 10:25:00 lost to 'Buy oat milk' from laptop-2 at 10:25:09, because later writes win.",
  ],
  [
    'conflict across midnight: dates',
    { status: 'conflict', updatedAt: '2025-12-31T23:58:00.000000Z', lostTo: winner },
    "'Buy milk' from phone-1 on 2025-12-31 at 23:58 lost to 'Buy oat milk' from laptop-2 on 2026-01-01 at 10:30, because later writes win.",
  ],
  [
    'exists',
    { kind: 'create', status: 'exists' },
    "'Buy milk' from phone-1 at 10:25 changed nothing, because this very create had been applied before.",
  ],
  [
    'not_found',
    { ...remove, taskTitle: undefined, status: 'not_found' },
    "The delete of task 't1' from phone-1 at 10:25 changed nothing, because there was no task with the id 't1'.",
  ],
  [
    'error, an id that is the server_id of another task',
    { kind: 'create', taskTitle: undefined, status: 'error', outcomeCode: 'id_taken' },
    "'Buy milk' from phone-1 at 10:25 changed nothing, because 't1' is the server_id of another task.",
  ],
  [
    'error, permanent',
    failed,
    "'Buy milk' from phone-1 at 10:25 cannot be applied as it is and is kept; the error was: value too long.",
  ],
  [
    'error, permanent after a try that might have passed',
    { ...failed, retryCount: 1 },
    "'Buy milk' from phone-1 at 10:25 cannot be applied as it is and is kept; the error was: value too long.",
  ],
  [
    'error after its tries',
    { ...failed, retryCount: 3 },
    "'Buy milk' from phone-1 at 10:25 could not be applied in 3 tries and is kept; the last error was: value too long.",
  ],
  [
    'error after its only try, without a message',
    { ...failed, error: null, retryCount: 1, maxRetries: 1 },
    "'Buy milk' from phone-1 at 10:25 could not be applied in 1 try and is kept; the last error was: unknown.",
  ],
  ['pending', pending, "'Buy milk' from phone-1 at 10:25 is stored and waits to be applied."],
  [
    'pending after a try that does not count',
    { status: 'pending' },
    "'Buy milk' from phone-1 at 10:25 waits to be tried again; it was last tried at 10:40.",
  ],
  [
    'pending with failed tries',
    { status: 'pending', retryCount: 2, error: 'refused.' },
    "'Buy milk' from phone-1 at 10:25 waits to be tried again; it was last tried at 10:40 after 2 tries failed, the last with: refused.",
  ],
  [
    'a clock that was behind',
    { seq: 7, correction: { ...ahead, skewMs: -7_200_000, adjustedMs: 7_200_000 } },
    "'Buy milk' from phone-1 at 10:25 was applied; phone-1's clock was 2 h behind and was corrected.",
  ],
  [
    'a clock that was ahead, and a time beyond it',
    { seq: 7, correction: { ...ahead, adjustedMs: -4_000_000, isClamped: true } },
    "'Buy milk' from phone-1 at 10:25 was applied; phone-1's clock was 40 min ahead and was corrected, and as the time still lay in the future, the server's was taken.",
  ],
  [
    'a time in the future',
    { seq: 7, correction: { skewMs: null, adjustedMs: -600_000, isShifted: false, isClamped: true, isMoved: false } },
    "'Buy milk' from phone-1 at 10:25 was applied; the time that phone-1 gave lay 10 min in the future and was set to the server's.",
  ],
  [
    'a time that an edit before it had as well',
    { seq: 7, correction: { skewMs: null, adjustedMs: 0.001, isShifted: false, isClamped: false, isMoved: true } },
    "'Buy milk' from phone-1 at 10:25 was applied; it counts as later than an edit that phone-1 had sent before, which would have had its time.",
  ],
];

describe('explain: the sentence', () => {
  for (const [what, changes, sentence] of sentences) {
    it(what, () => expect(explainOperation(story(changes), NOW)).to.equal(sentence));
  }

  it('names the date when it is read on another day', () => {
    expect(explainOperation(story({ seq: 7 }), '2026-01-02T00:00:00.000000Z')).to.equal(
      "'Buy milk' from phone-1 on 2026-01-01 at 10:25 was applied.",
    );
  });
});

describe('explain: the wording', () => {
  const durations: [ms: number, words: string][] = [
    [0.5, 'less than 1 s'],
    [-999, 'less than 1 s'],
    [1_000, '1 s'],
    [119_000, '119 s'],
    [120_000, '2 min'],
    [-2_400_000, '40 min'],
    [7_140_000, '119 min'],
    [7_200_000, '2 h'],
    [172_799_000, '48 h'],
    [172_800_000, '2 days'],
    [31_536_000_000, '365 days'],
  ];
  for (const [ms, words] of durations) {
    it(`${ms} ms are ${words}`, () => expect(describeDuration(ms)).to.equal(words));
  }

  it('quotes a long or broken text on one line, by whole characters', () => {
    expect(quote(' Buy\n\tmilk ')).to.equal("'Buy milk'");
    expect(quote('x'.repeat(60))).to.equal(`'${'x'.repeat(60)}'`);
    expect(quote('x'.repeat(61))).to.equal(`'${'x'.repeat(59)}…'`);
    expect(quote('🥛'.repeat(61))).to.equal(`'${'🥛'.repeat(59)}…'`);
  });

  it('tells times that differ by microseconds apart', () => {
    const times = [at(1), '2026-01-01T10:01:00.000001Z'];
    expect(times.map(tellTimes(times, NOW))).to.deep.equal(['at 10:01:00.000000', 'at 10:01:00.000001']);
  });
});

describe('explain: what became of a time', () => {
  const server = toMicros(at(30));
  const cases: [what: string, written: string, device: string | undefined, expected: object | undefined][] = [
    ['kept, without a device clock', at(10), undefined, undefined],
    ['kept, as the skew is within the tolerance', at(10), '2026-01-01T10:30:02.000000Z', undefined],
    [
      'shifted, by microseconds as well',
      at(50),
      '2026-01-01T11:10:00.000900Z',
      { skewMs: 2_400_000, adjustedMs: -2_400_000.9, isShifted: true, isClamped: false, isMoved: false },
    ],
    [
      'shifted forward',
      at(10),
      at(20),
      { skewMs: -600_000, adjustedMs: 600_000, isShifted: true, isClamped: false, isMoved: false },
    ],
    [
      'shifted and still in the future',
      at(55),
      at(40),
      { skewMs: 600_000, adjustedMs: -1_500_000, isShifted: true, isClamped: true, isMoved: false },
    ],
    [
      'in the future, without a device clock',
      at(40),
      undefined,
      { skewMs: null, adjustedMs: -600_000, isShifted: false, isClamped: true, isMoved: false },
    ],
    [
      'in the future, with a device clock that is right',
      at(40),
      at(30),
      { skewMs: 0, adjustedMs: -600_000, isShifted: false, isClamped: true, isMoved: false },
    ],
  ];
  it('moved behind an operation that was sent before', () => {
    const moved = '2026-01-01T10:10:00.000001Z';
    const expected = { skewMs: null, adjustedMs: 0.001, isShifted: false, isClamped: false, isMoved: true };
    expect(findCorrection(at(10), moved, null, at(30))).to.deep.equal(expected);
  });
  for (const [what, written, device, expected] of cases) {
    it(what, () => {
      const { times, skewMs = null } = fixEffectiveTimes([written], device, server, server);
      expect(findCorrection(written, times[0] ?? '', skewMs, fromMicros(server))).to.deep.equal(expected);
    });
  }
});
