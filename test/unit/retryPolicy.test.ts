import { expect } from 'chai';
import fc from 'fast-check';
import { ConnectionAcquireTimeoutError, ConnectionRefusedError, DatabaseError } from 'sequelize';
import { backoffDelayMs, classifyFault, type FaultKind } from '../../src/sync/retryPolicy.js';

const sqlError = (code: string) => {
  const original = Object.assign(new Error('from the server'), { code, sql: 'SELECT' });
  return new DatabaseError(original);
};

describe('faults', () => {
  const table: Record<FaultKind, string[]> = {
    transient: [
      '08000',
      '08006',
      '40001',
      '40003',
      '40P01',
      '53100',
      '53300',
      '55P03',
      '57014',
      '57P01',
      '57P03',
      '58030',
      '25006',
      '25P03',
    ],
    permanent: ['22000', '22P02', '22021', '23502', '23505', '23514', '54000', '54001', '0A000'],
    unknown: ['23503', '42P01', '42703', 'XX000', 'P0001', '25001'],
  };
  for (const kind of ['transient', 'permanent', 'unknown'] as const) {
    for (const code of table[kind]) {
      it(`SQLSTATE ${code} is ${kind}, wrapped by Sequelize`, () =>
        expect(classifyFault(sqlError(code))).to.equal(kind));
    }
  }

  const others: [what: string, error: unknown, kind: FaultKind][] = [
    [
      'a refused connection',
      new ConnectionRefusedError(Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })),
      'transient',
    ],
    [
      'a pool without a free connection',
      new ConnectionAcquireTimeoutError(new Error('Operation timeout')),
      'transient',
    ],
    ['a reset socket', Object.assign(new Error('read'), { code: 'ECONNRESET' }), 'transient'],
    ['a broken pipe', Object.assign(new Error('write'), { code: 'EPIPE' }), 'transient'],
    ['an unknown host for now', Object.assign(new Error('dns'), { code: 'EAI_AGAIN' }), 'transient'],
    ["pg's lost connection", new Error('Connection terminated unexpectedly'), 'transient'],
    [
      'a cause of a cause',
      new Error('outer', { cause: new Error('middle', { cause: sqlError('40P01') }) }),
      'transient',
    ],
    ['a bug', new TypeError('x is not a function'), 'unknown'],
    ['no error at all', 'text', 'unknown'],
  ];
  for (const [what, error, kind] of others) it(`${what}: ${kind}`, () => expect(classifyFault(error)).to.equal(kind));

  it('a ring of causes ends', () => {
    const ring = new Error('ring');
    ring.cause = ring;
    expect(classifyFault(ring)).to.equal('unknown');
  });
});

describe('backoff', () => {
  const options = { baseMs: 500, capMs: 30_000 };

  it('doubles its ceiling with each attempt up to the cap', () => {
    const ceilings = [1, 2, 3, 4, 7, 8, 1_000].map((attempt) => backoffDelayMs(attempt, options, 0.999_999));
    expect(ceilings).to.deep.equal([499, 999, 1_999, 3_999, 29_999, 29_999, 29_999]);
  });

  it('has full jitter: any wait from nothing to the ceiling', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2_000 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (attempt, random) => {
          const delayMs = backoffDelayMs(attempt, options, random);
          expect(delayMs)
            .to.be.at.least(0)
            .and.below(Math.min(30_000, 500 * 2 ** Math.min(attempt - 1, 30)));
        },
      ),
    );
    expect(backoffDelayMs(5, options, 0)).to.equal(0);
  });
});
