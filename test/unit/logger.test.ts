// What the log says of errors: enough to act on, and nothing that a user wrote.
import { expect } from 'chai';
import { describeError, describeStack } from '../../src/logger.js';

const SECRET = 'Call the doctor';

/** An error as the pg driver makes it, in the wrapper that Sequelize puts around it. */
function sqlError(code: string, message: string, routine = 'ExecConstraints') {
  const original = Object.assign(new Error(message), { severity: 'ERROR', code, routine });
  return Object.assign(new Error(message), { name: 'SequelizeDatabaseError', original, parent: original });
}

describe('describing an error for the log', () => {
  for (const [code, routine] of [
    ['23514', 'ExecConstraints'],
    ['22P02', 'json_errsave_error'],
    ['P0001', 'exec_stmt_raise'],
    ['40001', 'exec_stmt_raise'],
    ['XX000', 'elog'],
  ] as const) {
    it(`keeps back what PostgreSQL says with ${code} from ${routine}: it may quote a row`, () => {
      const described = describeError(sqlError(code, `bad row: ${SECRET}`, routine));
      expect(described).to.deep.equal({ error: `PostgreSQL refused it with ${code}`, code });
    });
  }

  it('says what PostgreSQL says of itself', () => {
    const message = 'terminating connection due to administrator command';
    expect(describeError(sqlError('57P01', message, 'ProcessInterrupts'))).to.deep.equal({
      error: message,
      code: '57P01',
    });
  });

  it('finds the cause through any wrapper, and ends in a ring', () => {
    const wrapped = new Error(`inner: ${SECRET}`, { cause: sqlError('23505', SECRET) });
    expect(describeError(wrapped).error).not.to.include(SECRET);
    const ring = new Error('ring');
    ring.cause = ring;
    expect(describeError(ring)).to.deep.equal({ error: 'ring' });
  });

  it('says what the system says', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    expect(describeError(refused)).to.deep.equal({ error: 'connect ECONNREFUSED', code: 'ECONNREFUSED' });
    expect(describeError('a text')).to.deep.equal({ error: 'a text' });
  });

  it('shows where it came from without its message, even where that looks like a stack', () => {
    const stack = describeStack(new Error(`${SECRET}\n    at ${SECRET}`));
    expect(stack).to.match(/^\s+at .*logger\.test/);
    expect(stack).not.to.include(SECRET);
    expect(describeStack('a text')).to.equal(undefined);
  });
});
