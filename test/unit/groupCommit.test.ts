import { expect } from 'chai';
import { createGroupCommit } from '../../src/groupCommit.js';

/** A run that ends when the test says so. */
function controlled() {
  const runs: { workspaceId: string; jobs: string[]; end: () => void; fail: (error: Error) => void }[] = [];
  const submit = createGroupCommit(
    (workspaceId: string, jobs: string[]) =>
      new Promise<string>((resolve, reject) => {
        runs.push({ workspaceId, jobs, end: () => resolve(jobs.join('+')), fail: reject });
      }),
  );
  return { runs, submit };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('group commit', () => {
  it('runs a lone job at once', async () => {
    const { runs, submit } = controlled();
    const answer = submit('w', 'a');
    await turn();
    expect(runs.map((run) => run.jobs)).to.deep.equal([['a']]);
    runs[0]?.end();
    expect(await answer).to.equal('a');
  });

  it('gathers what comes during a run, and runs it as one', async () => {
    const { runs, submit } = controlled();
    const first = submit('w', 'a');
    await turn();
    const others = ['b', 'c', 'd'].map((job) => submit('w', job));
    await turn();
    expect(runs).to.have.length(1);
    runs[0]?.end();
    await first;
    await turn();
    expect(runs.map((run) => run.jobs)).to.deep.equal([['a'], ['b', 'c', 'd']]);
    runs[1]?.end();
    expect(await Promise.all(others)).to.deep.equal(['b+c+d', 'b+c+d', 'b+c+d']);
  });

  it('runs workspaces side by side', async () => {
    const { runs, submit } = controlled();
    const answers = [submit('w1', 'a'), submit('w2', 'b')];
    await turn();
    expect(runs.map((run) => run.workspaceId)).to.deep.equal(['w1', 'w2']);
    for (const run of runs) run.end();
    await Promise.all(answers);
  });

  it('a run that fails reaches its own jobs and stops nobody else', async () => {
    const { runs, submit } = controlled();
    const first = submit('w', 'a').catch((error: Error) => error.message);
    await turn();
    const second = submit('w', 'b');
    runs[0]?.fail(new Error('down'));
    expect(await first).to.equal('down');
    await turn();
    runs[1]?.end();
    expect(await second).to.equal('b');
  });

  it('does not put more into a run than it may serve; what is larger goes alone', async () => {
    const runs: string[][] = [];
    const submit = createGroupCommit(async (_key: string, jobs: string[]) => void runs.push(jobs), {
      max: 3,
      sizeOf: (job) => job.length,
    });
    await Promise.all(['a', 'bb', 'c', 'dddd', 'ee', 'f'].map((job) => submit('w', job)));
    expect(runs).to.deep.equal([['a', 'bb'], ['c'], ['dddd'], ['ee', 'f']]);
  });
});
