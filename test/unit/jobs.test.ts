// What goes to the queue: parts of large batches, and batches that share a job.
import { expect } from 'chai';
import { batchesOf, jobsOfBatch, shareJobs } from '../../src/queue/jobs.js';

const SIZE = 50;
const idsFrom = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index);
const batch = (batchId: string, firstId: number, count: number, workspaceId = 'w') =>
  jobsOfBatch(workspaceId, batchId, idsFrom(firstId, count), SIZE);

describe('jobs', () => {
  it('of a batch carry at most the batch size each, and say which part they are', () => {
    const jobs = batch('a', 1, 120);
    expect(jobs.map(({ part, parts, count, firstId, lastId }) => [part, parts, count, firstId, lastId])).to.deep.equal([
      [1, 3, 50, 1, 50],
      [2, 3, 50, 51, 100],
      [3, 3, 20, 101, 120],
    ]);
  });

  it('name who waits for a batch, also where it shares its job with batches that nobody waits for', () => {
    const waited = jobsOfBatch('w', 'waited', [1, 2], SIZE, 'me');
    expect(waited[0]?.replyTo).to.equal('me');
    for (const jobs of [
      [...waited, ...batch('other', 3, 1)],
      [...batch('other', 3, 1), ...waited],
    ]) {
      expect(shareJobs(jobs, SIZE).map(({ replyTo }) => replyTo)).to.deep.equal(['me']);
    }
    expect(shareJobs([...batch('a', 1, 1), ...batch('b', 2, 1)], SIZE)[0]).to.not.have.property('replyTo');
  });

  it('of whole batches of a workspace are shared up to a number of operations', () => {
    const jobs = shareJobs([...batch('a', 1, 20), ...batch('b', 21, 30), ...batch('c', 51, 1)], SIZE);
    expect(jobs).to.deep.equal([
      {
        workspaceId: 'w',
        count: 50,
        firstId: 1,
        lastId: 50,
        batches: [
          { batchId: 'a', count: 20, firstId: 1, lastId: 20 },
          { batchId: 'b', count: 30, firstId: 21, lastId: 50 },
        ],
      },
      { workspaceId: 'w', batchId: 'c', part: 1, parts: 1, count: 1, firstId: 51, lastId: 51 },
    ]);
  });

  it('name every batch once, and reach up to the last operation of each, whatever is shared', () => {
    const given = [
      ...batch('a', 1, 7),
      ...batch('x', 8, 3, 'other'),
      ...batch('large', 11, 130),
      ...batch('b', 141, 2),
      ...batch('y', 143, 4, 'other'),
      { workspaceId: 'w', count: 3, firstId: 1, lastId: 3, reason: 'trigger' },
    ];
    const shared = shareJobs(given, SIZE);
    expect(shared.flatMap(batchesOf)).to.have.deep.members(given.flatMap(batchesOf));
    for (const job of shared) {
      expect(job.count).to.be.at.most(SIZE);
      for (const { firstId, lastId } of batchesOf(job)) {
        expect(job.firstId).to.be.at.most(firstId);
        expect(job.lastId).to.be.at.least(lastId);
      }
    }
    for (const { workspaceId, batchId } of given.filter((job) => job.batchId !== undefined)) {
      const holders = shared.filter((job) => batchesOf(job).some((each) => each.batchId === batchId));
      expect(new Set(holders.map((job) => job.workspaceId))).to.deep.equal(new Set([workspaceId]));
    }
    expect(shared).to.deep.include(given.at(-1));
  });

  it('are not shared across a large batch, which would have to be applied first', () => {
    const jobs = shareJobs([...batch('a', 1, 7), ...batch('large', 8, 130), ...batch('b', 138, 2)], SIZE);
    expect(jobs.map(({ lastId }) => lastId)).to.deep.equal([7, 57, 107, 137, 139]);
  });

  it('that are shared hold as many whole batches as a transaction takes, however large each of them is', () => {
    const full = idsFrom(0, 11).flatMap((index) => batch(`batch ${index}`, index * SIZE + 1, SIZE));
    expect(shareJobs(full, 500).map(({ count }) => count)).to.deep.equal([500, 50]);
    expect(shareJobs(full.slice(0, 2), 20).map(({ count }) => count)).to.deep.equal([50, 50]);
  });

  it('that are shared name at most 50 batches: a job stays small, however small they are', () => {
    const single = idsFrom(1, 120).flatMap((id) => batch(`batch ${id}`, id, 1));
    expect(shareJobs(single, 500).map((job) => batchesOf(job).length)).to.deep.equal([50, 50, 20]);
  });

  it('that come alone stay as they are', () => {
    expect(shareJobs(batch('a', 1, 3), SIZE)).to.deep.equal(batch('a', 1, 3));
    expect(shareJobs([], SIZE)).to.deep.equal([]);
  });
});
