// A client's side of the digest, from the definition in the protocol alone: nothing of the product is used.
import { createHash } from 'node:crypto';

export interface ShownTask {
  id: string;
  seq: number;
}

const sha256 = (text: string) => createHash('sha256').update(text, 'utf8').digest();

/** The bucket of a task id, 0 to 255. */
export function bucketOf(id: string): number {
  return sha256(id).readUInt8(0);
}

/** The 256 checksums over a copy of the live tasks. */
export function digestOf(tasks: Iterable<ShownTask>): string[] {
  const sums = new BigUint64Array(256);
  for (const { id, seq } of tasks) {
    const bucket = bucketOf(id);
    sums[bucket] = (sums[bucket] ?? 0n) ^ sha256(`${id}\0${seq}`).readBigUInt64BE(0);
  }
  return [...sums].map((sum) => sum.toString(16).padStart(16, '0'));
}
