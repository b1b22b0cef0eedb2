// Strategy merge: which writes won the fields that an operation lost, where they are not one write (lost_to_* names that one, or the
// highest). Null for nearly every row; nothing is rewritten and the lock is held for a moment.

export const name = '0005_field_winners';

export const up = `
ALTER TABLE sync_queue ADD COLUMN field_winners jsonb;
`;
