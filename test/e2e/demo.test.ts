// The demo writes only where nobody minds, and takes away what it made.
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { askToWrite } from '../../scripts/demo/ownership.js';
import { type RunningCluster, startProcesses } from '../support/cluster.js';
import { send } from '../support/live.js';
import { startProcess } from '../support/processes.js';

describe('npm run demo', () => {
  let cluster: RunningCluster;
  let url = '';
  before(async () => {
    cluster = await startProcesses(import.meta.url, { apis: 1, workers: 1 });
    [url = ''] = cluster.urls;
  });
  after(() => cluster.stop());

  async function demo(...parameters: string[]) {
    const entry = 'scripts/demo.js';
    const run = startProcess({ name: 'demo', entry, env: {}, parameters: ['--url', url, ...parameters] });
    const { code } = await run.exited;
    return { code, output: run.output() };
  }

  async function listTasks(): Promise<{ id: string; updated_by: string }[]> {
    const response = await fetch(`${url}/api/tasks?limit=500`);
    return JSON.parse(await response.text());
  }

  it('runs on an empty server without asking', async () => {
    const { code, output } = await demo();
    expect(output).to.include('0 lost');
    expect(code).to.equal(0);
    expect((await listTasks()).length).to.be.greaterThan(20);
  });

  it('refuses a server with tasks where nobody can be asked, and writes nothing', async () => {
    const before = await listTasks();
    const { code, output } = await demo();
    expect(code).to.equal(1);
    expect(output).to.match(/holds tasks already.*Nothing was written\. .*--yes.*--clean/s);
    expect(await listTasks()).to.deep.equal(before);
  });

  for (const [answer, isAgreed] of [
    ['y', true],
    ['Yes', true],
    ['n', false],
    ['', false],
  ] as const) {
    it(`asks at a terminal, and ${isAgreed ? 'goes on' : 'stops'} on "${answer}"`, async () => {
      const input = Object.assign(new PassThrough(), { isTTY: true });
      const output = Object.assign(new PassThrough(), { isTTY: true });
      output.once('data', () => input.write(`${answer}\n`));
      const asking = askToWrite(url, false, { input, output }).then(
        () => 'goes on',
        (error: Error) => error.message,
      );
      expect(await asking).to.match(isAgreed ? /^goes on$/ : /^Nothing was written\./);
    });
  }

  it('goes on with --yes, and --clean removes what all demos made and nothing that others made or changed', async () => {
    expect((await demo('--yes')).code).to.equal(0);
    expect(await send('POST', `${url}/api/tasks`, { id: 'mine', title: 'Mine' })).to.equal(201);
    const [touched] = await listTasks().then((tasks) => tasks.filter(({ id }) => id !== 'mine'));
    expect(await send('PATCH', `${url}/api/tasks/${touched?.id}`, { title: 'Now mine' })).to.equal(200);
    const { code, output } = await demo('--clean');
    expect(output).to.match(/Removed \d+ tasks of earlier demos\. 1 that was changed since stays\./);
    expect(code).to.equal(0);
    expect((await listTasks()).map(({ id }) => id)).to.have.members(['mine', touched?.id]);
    expect((await demo('--clean')).output).to.match(/Removed 0 tasks/);
  });
});
