// The digest of a workspace: one checksum for each of 256 buckets of its live tasks, and the seq that it belongs to. docs/protocol.md
// defines it, so that clients compute the same over their copies. It takes a task's seq for its version: under the strategy merge an
// older edit may change a task without changing its updated_at. sha256() and bit_xor() make PostgreSQL 14 the oldest that can.
import type { Database } from './database.js';
import { FEED_HEAD } from './readChanges.js';

export const DIGEST_BUCKETS = 256;

/** The bucket of a task `t`: the first byte of the SHA-256 of its id. */
export const BUCKET_OF_TASK = "get_byte(sha256(convert_to(t.id, 'UTF8')), 0)";

export interface Digest {
  /** The digest shows every change up to this seq, and none after it. */
  seq: number;
  /** Of the database in which that is so: see FeedHead. */
  incarnation: string;
  /** By bucket: 16 hexadecimal digits. */
  buckets: string[];
}

// One statement, so one snapshot: its seq and its tasks belong together (I3).
const DIGEST = `
WITH head AS MATERIALIZED (${FEED_HEAD}), hashed AS (
  SELECT ${BUCKET_OF_TASK} AS bucket,
    sha256(convert_to(t.id, 'UTF8') || '\\x00'::bytea || convert_to(t.seq::text, 'UTF8')) AS hash
  FROM tasks t WHERE t.workspace_id = $1 AND NOT t.deleted
), sums AS (
  SELECT bucket, bit_xor(('x' || encode(substr(hash, 1, 8), 'hex'))::bit(64)) AS checksum FROM hashed GROUP BY bucket
)
SELECT h.seq, h.incarnation, ARRAY(
  SELECT lpad(to_hex(COALESCE(sums.checksum::bigint, 0)), 16, '0')
  FROM generate_series(0, ${DIGEST_BUCKETS - 1}) AS number LEFT JOIN sums ON sums.bucket = number ORDER BY number
) AS buckets
FROM head h`;

/** Computes the digest; reads every live task. @throws an Error for a workspace that does not exist */
export async function readDigest(database: Database, workspaceId: string): Promise<Digest> {
  const [digest] = await database.select<Digest>(DIGEST, [workspaceId]);
  if (digest === undefined) throw new Error(`workspace ${workspaceId} does not exist`);
  return digest;
}
