// The unit of ordering and isolation. Every writer of its tasks locks this row first (I3); accepting a batch does not touch it.
import { Column, DataType, Model, PrimaryKey, Table } from 'sequelize-typescript';
import { TIMESTAMP } from '../timestampColumn.js';

/** Without accounts there is one workspace; a migration creates it. */
export const DEFAULT_WORKSPACE_ID = 'default';

@Table({ tableName: 'workspaces', timestamps: false })
export class Workspace extends Model {
  @PrimaryKey
  @Column(DataType.TEXT)
  declare id: string;

  /** The last place given in the workspace's order of writes. */
  @Column(DataType.BIGINT)
  declare seq: number;

  /** Cursors below this are too old to continue from. */
  @Column({ type: DataType.BIGINT, field: 'floor_seq' })
  declare floorSeq: number;

  /** How many operations were settled, ever; counted here so that /api/sync/status stays cheap. */
  @Column(DataType.BIGINT)
  declare synced: number;

  @Column({ type: TIMESTAMP, field: 'last_synced_at' })
  declare lastSyncedAt: string | null;

  @Column({ type: TIMESTAMP, field: 'created_at' })
  declare createdAt: string;
}
