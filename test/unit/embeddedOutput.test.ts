// What the launcher shows at the terminal, as tables.
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { baseUrl, describeAddress, describeSummary } from '../../src/embedded/banner.js';
import { describeLine, describeTrouble, listenForLastWords } from '../../src/embedded/logFile.js';
import { createReleasers } from '../../src/embedded/releasers.js';
import { describeFileFault } from '../../src/embedded/startError.js';

describe('a log line at the terminal', () => {
  it('is shown for a warning, with its details and without what every line has', () => {
    const line = JSON.stringify({
      level: 'warn',
      message: 'slow\nquery',
      process: 'api',
      pid: 7,
      ms: 12,
      list: [1],
      nothing: null,
    });
    expect(describeLine(line)).to.equal('api warn: slow query (ms=12)');
  });

  it('is shown for the end of what was warned of', () => {
    const line = JSON.stringify({
      level: 'info',
      message: 'the queue answers again',
      process: 'worker',
      allClear: true,
    });
    expect(describeLine(line)).to.equal('worker info: the queue answers again');
  });

  for (const line of ['{"level":"info","message":"x"}', 'Error: no JSON', '', 'null', '42', '[]']) {
    it(`is not shown for ${JSON.stringify(line)}`, () => {
      expect(describeLine(line)).to.equal(undefined);
    });
  }

  it('is one of a few at a time', () => {
    const lines = Array.from({ length: 9 }, (_, index) =>
      JSON.stringify({ level: 'error', message: `m${index}`, process: 'w' }),
    );
    const shown = describeTrouble(lines, '/somewhere/worker.log');
    expect(shown).to.have.length(6);
    expect(shown.at(-1)).to.equal('... and 4 more lines in worker.log');
  });
});

describe('the last words of a program', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'task-sync-words-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const [what, written, words] of [
    [
      'the error before its hint',
      '2026-01-01 10:00:00.000 UTC [7] FATAL:  no room\n2026-01-01 10:00:00.000 UTC [7] HINT:  tidy\n',
      'FATAL:  no room',
    ],
    ['the message before its stack', 'Error: it broke\n    at run (file.js:1:2)\n', 'Error: it broke'],
    ['the last line where none is an error', 'one\ntwo\n\n', 'two'],
    ['none where it wrote nothing', '', 'none'],
  ] as const) {
    it(`are ${what}, and nothing of an earlier start`, () => {
      const file = join(folder, 'log');
      writeFileSync(file, 'FATAL: long ago\n');
      const lastWords = listenForLastWords(file);
      appendFileSync(file, written);
      expect(lastWords()).to.equal(words);
    });
  }
});

describe('the banner', () => {
  const summary = {
    host: '127.0.0.1',
    port: 5000,
    hasDashboard: true,
    database: 'PostgreSQL 18',
    queue: 'BullMQ on PostgreSQL',
    dataDir: '/data',
    logsFolder: '/data/logs',
    startedInMs: 2_345,
  };

  it('names everything', () => {
    const banner = describeSummary(summary, false);
    for (const part of ['2.3 s', 'http://localhost:5000/admin/queues', 'PostgreSQL 18', '/data/logs', 'Ctrl-C']) {
      expect(banner).to.include(part);
    }
  });

  it('says how to switch a hidden Bull Board on', () => {
    expect(describeSummary({ ...summary, hasDashboard: false }, false)).to.include('ADMIN_TOKEN');
  });

  for (const [host, url] of [
    ['127.0.0.1', 'http://localhost:1'],
    ['0.0.0.0', 'http://localhost:1'],
    ['::', 'http://localhost:1'],
    ['::1', 'http://[::1]:1'],
    ['10.0.0.7', 'http://10.0.0.7:1'],
  ] as const) {
    it(`leads to ${url} where the API listens on ${host}`, () => {
      expect(baseUrl(host, 1)).to.equal(url);
    });
  }

  it('shows no password of a server', () => {
    expect(describeAddress('postgres://me:secret@db.example:5432/tasks?sslmode=require')).to.equal(
      'db.example:5432/tasks',
    );
    expect(describeAddress('rediss://:secret@redis.example:6380/')).to.equal('redis.example:6380');
  });
});

describe('releasers', () => {
  it('run last in first out, once, and past one that fails', async () => {
    const done: unknown[] = [];
    const releasers = createReleasers((error) => done.push(error));
    releasers.push(() => void done.push('first opened'));
    releasers.push(() => Promise.reject('fault'));
    releasers.push(async () => void done.push('last opened'));
    await Promise.all([releasers.releaseAll(), releasers.releaseAll()]);
    expect(done).to.deep.equal(['last opened', 'fault', 'first opened']);
  });
});

describe('a fault of a file', () => {
  for (const [code, sentence] of [
    ['EACCES', /No permission to use \/data/],
    ['ENOSPC', /The disk is full/],
    ['EROFS', /read-only/],
    ['ENOTDIR', /is a file where a folder is needed/],
  ] as const) {
    it(`is a sentence for ${code}`, () => {
      expect(describeFileFault(Object.assign(new Error('x'), { code, path: '/data' }))).to.match(sentence);
    });
  }

  it('is nothing to explain for another error', () => {
    expect(describeFileFault(new Error('x'))).to.equal(undefined);
  });
});
