// Finding the answers to commits in PostgreSQL's protocol, byte by byte.
import { expect } from 'chai';
import { type CommitWatch, createCommitWatch } from '../chaos/commitWatch.js';

const text = (value: string) => Buffer.from(`${value}\0`);

function frame(type: string, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

function untyped(code: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeInt32BE(body.length + 8);
  head.writeInt32BE(code, 4);
  return Buffer.concat([head, body]);
}

const ready = (status: 'I' | 'T' | 'E') => frame('Z', Buffer.from(status));
const done = (tag: string) => frame('C', text(tag));
const failed = frame('E', text('SERROR'), Buffer.from([0]));
const query = (sql: string) => frame('Q', text(sql));
const parse = (name: string, sql: string) => frame('P', text(name), text(sql), Buffer.from([0, 0]));
const bind = (statement: string) => frame('B', text(''), text(statement), Buffer.alloc(6));
const execute = frame('E', text(''), Buffer.alloc(4));
const sync = frame('S');
const start = untyped(196_608, text('user'), text('me'), Buffer.from([0]));

/** A watch after a login, that loses whatever it can. */
function loggedIn(): CommitWatch {
  const watch = createCommitWatch(() => true);
  watch.fromClient(start);
  watch.fromServer(Buffer.concat([frame('R', Buffer.alloc(4)), ready('I')]));
  return watch;
}

function ask(watch: CommitWatch, sent: Buffer, ...answer: Buffer[]) {
  watch.fromClient(sent);
  return watch.fromServer(Buffer.concat(answer));
}

/** A cycle whose answer must come through as it is. */
function expectPassed(watch: CommitWatch, sent: Buffer, ...answer: Buffer[]) {
  expect(ask(watch, sent, ...answer)).to.deep.equal({ forward: Buffer.concat(answer), isAnswerLost: false });
}

const INSERT = 'WITH numbered AS (SELECT 1) INSERT INTO sync_queue SELECT * FROM numbered RETURNING id';

describe('the watch for commits', () => {
  const lost: [string, (watch: CommitWatch) => ReturnType<typeof ask>][] = [
    [
      'a COMMIT',
      (watch) => {
        expectPassed(watch, query('START TRANSACTION;'), done('START TRANSACTION'), ready('T'));
        return ask(watch, query('COMMIT;'), done('COMMIT'), ready('I'));
      },
    ],
    ['a writing statement of its own', (watch) => ask(watch, query(INSERT), done('INSERT 0 1'), ready('I'))],
    [
      'one with parameters',
      (watch) =>
        ask(
          watch,
          Buffer.concat([parse('', INSERT), bind(''), execute, sync]),
          frame('1'),
          frame('2'),
          done('INSERT 0 1'),
          ready('I'),
        ),
    ],
    [
      'a prepared one that is only named',
      (watch) => {
        const prepared = ask(watch, Buffer.concat([parse('accept', INSERT), sync]), frame('1'), ready('I'));
        expect(prepared.isAnswerLost).to.equal(false);
        return ask(watch, Buffer.concat([bind('accept'), execute, sync]), frame('2'), done('INSERT 0 1'), ready('I'));
      },
    ],
    ['an UPDATE', (watch) => ask(watch, query('update t set a = 1'), done('UPDATE 1'), ready('I'))],
  ];
  for (const [what, run] of lost) {
    it(`loses the answer to ${what}, whole`, () => {
      expect(run(loggedIn())).to.deep.equal({ forward: Buffer.alloc(0), isAnswerLost: true });
    });
  }

  const passed: [string, Buffer, Buffer[]][] = [
    ['a SELECT', query('SELECT 1'), [done('SELECT 1'), ready('I')]],
    ['a SELECT that locks', query('SELECT seq FROM workspaces FOR NO KEY UPDATE'), [done('SELECT 1'), ready('I')]],
    ['a failed INSERT', query(INSERT), [failed, ready('I')]],
    ['a COMMIT outside of a transaction', query('COMMIT'), [done('COMMIT'), ready('I')]],
  ];
  for (const [what, sent, answer] of passed) {
    it(`passes the answer to ${what}`, () => expectPassed(loggedIn(), sent, ...answer));
  }

  it('passes what is written inside a transaction: it is not committed yet', () => {
    const watch = loggedIn();
    expectPassed(watch, query('BEGIN'), done('BEGIN'), ready('T'));
    expectPassed(watch, query(INSERT), done('INSERT 0 1'), ready('T'));
    expectPassed(watch, query('ROLLBACK'), done('ROLLBACK'), ready('I'));
  });

  it('passes everything when it is not to lose anything', () => {
    const watch = createCommitWatch(() => false);
    watch.fromClient(start);
    watch.fromServer(ready('I'));
    expectPassed(watch, query(INSERT), done('INSERT 0 1'), ready('I'));
  });

  it('reads requests that were sent in one go, and passes what was answered before the lost one', () => {
    const watch = loggedIn();
    watch.fromClient(Buffer.concat([query('SELECT 1'), query(INSERT)]));
    const first = Buffer.concat([done('SELECT 1'), ready('I')]);
    const answer = watch.fromServer(Buffer.concat([first, done('INSERT 0 1'), ready('I')]));
    expect(answer).to.deep.equal({ forward: first, isAnswerLost: true });
  });

  it('does not care where the network cuts, nor for a refused wish for TLS before the login', () => {
    const watch = createCommitWatch(() => true);
    const bytes = (all: Buffer, take: (piece: Buffer) => void) => {
      for (let at = 0; at < all.length; at += 1) take(all.subarray(at, at + 1));
    };
    const forwarded: Buffer[] = [];
    let isAnswerLost = false;
    const fromServer = (piece: Buffer) => {
      const result = watch.fromServer(piece);
      forwarded.push(result.forward);
      isAnswerLost ||= result.isAnswerLost;
    };
    bytes(untyped(80_877_103), watch.fromClient);
    bytes(Buffer.from('N'), fromServer);
    bytes(start, watch.fromClient);
    const login = Buffer.concat([frame('R', Buffer.alloc(4)), frame('S', text('a'), text('b')), ready('I')]);
    bytes(login, fromServer);
    expect(Buffer.concat(forwarded)).to.deep.equal(Buffer.concat([Buffer.from('N'), login]));
    bytes(query(INSERT), watch.fromClient);
    bytes(Buffer.concat([done('INSERT 0 1'), ready('I')]), fromServer);
    expect(isAnswerLost).to.equal(true);
    expect(Buffer.concat(forwarded)).to.have.length(login.length + 1);
  });
});
