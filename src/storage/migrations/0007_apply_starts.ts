// What was started and has not ended: written only where operations have waited suspiciously long, so that an operation that ends its
// worker is found (docs/decisions/0013). At most one row a workspace, gone when the attempt has ended.

export const name = '0007_apply_starts';

export const up = `
CREATE TABLE apply_starts (
  workspace_id text COLLATE "C" PRIMARY KEY,
  last_id bigint NOT NULL,
  alone_id bigint,
  alone_starts smallint NOT NULL DEFAULT 0
);
`;
