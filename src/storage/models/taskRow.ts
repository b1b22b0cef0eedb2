// A task or its tombstone. Its id is the client's; its place in the change feed is seq.
import { Column, DataType, Model, PrimaryKey, Table } from 'sequelize-typescript';
import type { FieldVersions } from '../../sync/task.js';
import { TIMESTAMP } from '../timestampColumn.js';

@Table({ tableName: 'tasks', timestamps: false })
export class TaskRow extends Model {
  @PrimaryKey
  @Column({ type: DataType.TEXT, field: 'workspace_id' })
  declare workspaceId: string;

  @PrimaryKey
  @Column(DataType.TEXT)
  declare id: string;

  @Column({ type: DataType.UUID, field: 'server_id' })
  declare serverId: string;

  @Column(DataType.TEXT)
  declare title: string;

  @Column(DataType.TEXT)
  declare description: string | null;

  @Column(DataType.BOOLEAN)
  declare completed: boolean;

  @Column(DataType.BOOLEAN)
  declare deleted: boolean;

  /** Deleted longer ago than the retention: only id, version and seq are left, and no reader sees it. */
  @Column(DataType.BOOLEAN)
  declare stub: boolean;

  @Column({ type: TIMESTAMP, field: 'created_at' })
  declare createdAt: string;

  @Column({ type: TIMESTAMP, field: 'updated_at' })
  declare updatedAt: string;

  @Column({ type: DataType.TEXT, field: 'updated_by' })
  declare updatedBy: string;

  @Column({ type: DataType.TEXT, field: 'op_id' })
  declare opId: string;

  /** Strategy merge; null: every field has the version of the task. */
  @Column({ type: DataType.JSONB, field: 'field_versions' })
  declare fieldVersions: FieldVersions | null;

  @Column(DataType.BIGINT)
  declare seq: number;

  @Column({ type: TIMESTAMP, field: 'last_synced_at' })
  declare lastSyncedAt: string;
}
