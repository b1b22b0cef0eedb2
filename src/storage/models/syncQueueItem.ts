// An accepted operation: the queue's truth while it is pending (I1), the operation log afterwards.
import { Column, DataType, Model, PrimaryKey, Table } from 'sequelize-typescript';
import type { FieldWinners } from '../../sync/losses.js';
import type { FieldOutcomes } from '../../sync/mergeFields.js';
import { TIMESTAMP } from '../timestampColumn.js';

export type QueueStatus = 'pending' | 'synced' | 'failed';

@Table({ tableName: 'sync_queue', timestamps: false })
export class SyncQueueItem extends Model {
  @PrimaryKey
  @Column({ type: DataType.TEXT, field: 'workspace_id' })
  declare workspaceId: string;

  /** Counts up in the order of acceptance. */
  @PrimaryKey
  @Column(DataType.BIGINT)
  declare id: number;

  /** The batch that brought it first; null for a direct write. */
  @Column({ type: DataType.UUID, field: 'batch_id' })
  declare batchId: string | null;

  @Column(DataType.INTEGER)
  declare position: number;

  @Column({ type: DataType.TEXT, field: 'client_id' })
  declare clientId: string;

  @Column({ type: DataType.TEXT, field: 'op_id' })
  declare opId: string;

  @Column({ type: DataType.TEXT, field: 'content_hash' })
  declare contentHash: string;

  @Column({ type: DataType.TEXT, field: 'task_id' })
  declare taskId: string;

  @Column(DataType.TEXT)
  declare operation: string;

  @Column({ type: DataType.JSONB, field: 'task_data' })
  declare taskData: Record<string, unknown>;

  /** Effective time (see sync/clock). */
  @Column({ type: TIMESTAMP, field: 'updated_at' })
  declare updatedAt: string;

  /** Its precondition: the seq that the task must have, 0 for none; null: it has no precondition. */
  @Column({ type: DataType.BIGINT, field: 'if_seq' })
  declare ifSeq: number | null;

  @Column(DataType.TEXT)
  declare status: QueueStatus;

  @Column(DataType.TEXT)
  declare outcome: string | null;

  /** Null unless it won in some fields and lost in others. */
  @Column({ type: DataType.JSONB, field: 'field_outcomes' })
  declare fieldOutcomes: FieldOutcomes | null;

  /** Why, where the outcome alone does not tell the device what to do. */
  @Column({ type: DataType.TEXT, field: 'outcome_code' })
  declare outcomeCode: string | null;

  @Column(DataType.BIGINT)
  declare seq: number | null;

  @Column(DataType.TEXT)
  declare error: string | null;

  @Column({ type: DataType.INTEGER, field: 'retry_count' })
  declare retryCount: number;

  @Column({ type: DataType.INTEGER, field: 'max_retries' })
  declare maxRetries: number;

  @Column({ type: TIMESTAMP, field: 'created_at' })
  declare createdAt: string;

  @Column({ type: TIMESTAMP, field: 'last_attempted_at' })
  declare lastAttemptedAt: string | null;

  /** Not to be tried before this; null: now. */
  @Column({ type: TIMESTAMP, field: 'next_attempt_at' })
  declare nextAttemptAt: string | null;

  /** With the two below: the version that it lost to, of several the highest; null where it lost nothing, and from before it was kept. */
  @Column({ type: DataType.TEXT, field: 'lost_to_client_id' })
  declare lostToClientId: string | null;

  @Column({ type: DataType.TEXT, field: 'lost_to_op_id' })
  declare lostToOpId: string | null;

  @Column({ type: TIMESTAMP, field: 'lost_to_updated_at' })
  declare lostToUpdatedAt: string | null;

  /** Who won each field that it lost; null unless they were lost to different writes. */
  @Column({ type: DataType.JSONB, field: 'field_winners' })
  declare fieldWinners: FieldWinners | null;

  /** Whether it made a task of a tombstone again. */
  @Column({ type: DataType.BOOLEAN, field: 'brought_back' })
  declare broughtBack: boolean;
}
