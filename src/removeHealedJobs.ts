// Failed jobs whose operations are settled by now, because they were tried again or discarded: they go from the queue, so that what stands
// there as failed is what somebody has to look at.
import { batchesOf, KEEP_FAILED } from './queue/jobs.js';
import type { FailedJob, Producer } from './queue/producer.js';
import type { Database } from './storage/database.js';
import { findUnsettled, type OperationRange } from './storage/findUnsettled.js';

const PAGE = 100;
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** @returns how many were removed @throws QueueUnavailable, or the driver's error */
export async function removeHealedJobs(database: Database, producer: Producer): Promise<number> {
  const healed: string[] = [];
  for (let offset = 0; offset < KEEP_FAILED.count; offset += PAGE) {
    const jobs = await producer.failedJobs(offset, PAGE);
    const ranges = jobs.flatMap(rangesOf);
    const unsettled = ranges.length === 0 ? new Set<string>() : await findUnsettled(database, ranges);
    healed.push(...new Set(ranges.map(({ key }) => key).filter((key) => !unsettled.has(key))));
    if (jobs.length < PAGE) break;
  }
  await producer.removeJobs(healed);
  return healed.length;
}

/** None for a job that somebody else put into the queue. */
function rangesOf({ id, data }: FailedJob): OperationRange[] {
  const { workspaceId, firstId, lastId } = data;
  const batches = batchesOf(data);
  const parts = batches.length > 0 ? batches : [{ batchId: null, firstId, lastId }];
  const ranges = parts.map((part) => ({ ...part, key: id, workspaceId }));
  return ranges.every(isRange) ? ranges : [];
}

const isRange = ({ workspaceId, batchId, firstId, lastId }: OperationRange) =>
  typeof workspaceId === 'string' &&
  (batchId === null || UUID.test(batchId)) &&
  Number.isSafeInteger(firstId) &&
  Number.isSafeInteger(lastId);
