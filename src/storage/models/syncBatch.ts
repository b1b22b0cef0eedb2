// A batch as it was received: which operations its items stand for, and what was wrong with those that are none.
import { Column, DataType, Model, PrimaryKey, Table } from 'sequelize-typescript';
import { TIMESTAMP } from '../timestampColumn.js';

/** One item of a batch: the key and content of its operation, or why it is none. */
export type BatchEntry =
  | {
      clientId: string;
      opId: string;
      contentHash: string;
      /** What the item says, which is not what the log says of its op_id where that was used for something else. Batches of old have neither. */
      operation?: string;
      /** Undefined too for a create that left the id to the server. */
      taskId?: string;
    }
  | {
      clientId: string | null;
      opId: string | null;
      operation: string | null;
      taskId: string | null;
      /** The field that is wrong, and what is wrong with it. */
      field: string;
      error: string;
    };

/** What acceptance made of the device's clock. */
export interface BatchClock {
  skewMs: number | null;
  adjusted: number;
  message?: string;
}

@Table({ tableName: 'sync_batches', timestamps: false })
export class SyncBatch extends Model {
  @PrimaryKey
  @Column({ type: DataType.TEXT, field: 'workspace_id' })
  declare workspaceId: string;

  @PrimaryKey
  @Column(DataType.UUID)
  declare id: string;

  @Column(DataType.INTEGER)
  declare total: number;

  @Column(DataType.JSONB)
  declare entries: BatchEntry[];

  @Column(DataType.JSONB)
  declare clock: BatchClock | null;

  /** Range of the ids of the operations that this batch was the first to bring; null when it brought none. */
  @Column({ type: DataType.BIGINT, field: 'first_operation_id' })
  declare firstOperationId: number | null;

  @Column({ type: DataType.BIGINT, field: 'last_operation_id' })
  declare lastOperationId: number | null;

  @Column({ type: TIMESTAMP, field: 'created_at' })
  declare createdAt: string;

  @Column({ type: TIMESTAMP, field: 'finished_at' })
  declare finishedAt: string | null;
}
