// A run of the tests that has to be stopped says what it was doing and what had failed, and its passes and failures count.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { runnerEnvironment } from '../support/environment.js';
import { runMocha } from '../support/runMocha.js';

const LIMIT_MS = 600_000;

describe('a run of mocha', function () {
  // It starts processes.
  this.timeout(60_000);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'task-sync-mocha-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** @param stopAt stops the run when its output holds this */
  async function run(body: string, { stopAt, limitMs = LIMIT_MS }: { stopAt?: string; limitMs?: number } = {}) {
    const file = join(folder, 'some.test.mjs');
    writeFileSync(file, `describe('some', () => { ${body} });`);
    const controller = new AbortController();
    let output = '';
    const write = (text: string) => {
      output += text;
      if (stopAt !== undefined && output.includes(stopAt)) controller.abort();
    };
    const order = { files: [file], grep: undefined, timeoutMs: LIMIT_MS, color: false, forbidOnly: true };
    const turn = { write, end: () => undefined };
    const counts = await runMocha({ title: 'these', order, env: runnerEnvironment, limitMs }, turn, controller.signal);
    return { counts, output };
  }

  const PASS = "it('passes', () => {});";
  const FAIL = "it('fails', () => { throw new Error('the reason'); });";
  const SKIP = "it.skip('is skipped', () => {});";

  it('that ends counts what it ran', async () => {
    const { counts, output } = await run(`${PASS} ${FAIL} ${SKIP}`);
    expect(counts).to.deep.equal({ passed: 1, failed: 1, skipped: 1 });
    expect(output).not.to.include('The run');
  });

  for (const [how, hanging] of [
    ['waits', 'new Promise(() => setInterval(() => {}, 1000))'],
    ['never lets go of the process', '(() => { for (;;); })()'],
  ] as const) {
    it(`that is stopped while a test ${how} names it, shows what failed, and counts what it ran`, async () => {
      const hang = `it('hangs', () => { console.log('now it hangs'); return ${hanging}; });`;
      const { counts, output } = await run(`${PASS} ${FAIL} ${SKIP} ${hang}`, { stopAt: 'now it hangs' });
      expect(counts).to.deep.equal({ passed: 1, failed: 2, skipped: 1 });
      expect(output).to.include('The run "these" was stopped; that counts as one failure.');
      expect(output).to.match(/It was in "some hangs", since [\d.]+ s; until then 1 passed and 1 failed\./);
      expect(output).to.match(/1\) some fails\n\s+Error: the reason\n\s+at /);
    });
  }

  it('that hangs in a hook names the hook', async () => {
    const hook =
      "before(() => { console.log('now it hangs'); return new Promise(() => setInterval(() => {}, 1000)); });";
    const { counts, output } = await run(`${hook} ${PASS}`, { stopAt: 'now it hangs' });
    expect(counts).to.deep.equal({ passed: 0, failed: 1, skipped: 0 });
    expect(output).to.match(/It was in "some "before all" hook[^\n]*", since/);
  });

  it('that reaches its limit says so', async () => {
    const { counts, output } = await run(`it('hangs', () => new Promise(() => setInterval(() => {}, 1000)));`, {
      limitMs: 1,
    });
    expect(counts).to.deep.equal({ passed: 0, failed: 1, skipped: 0 });
    expect(output).to.include(
      'The run "these" did not end within 0.001 s and was stopped; that counts as one failure.',
    );
    expect(output).to.match(/It was .*; until then 0 passed and 0 failed\./);
  });

  it('that ends its process counts what it ran', async () => {
    const { counts, output } = await run(`${PASS} it('leaves', () => process.exit(7));`);
    expect(counts).to.deep.equal({ passed: 1, failed: 1, skipped: 0 });
    expect(output).to.match(/The run "these" ended with exit code 7;.*\nIt was in "some leaves"/);
  });
});
