// Versions of single fields (strategy merge), and what an operation said and learned beyond its outcome: its precondition, what became of
// each of its fields, why it is a conflict. Nothing is rewritten and the locks are held for a moment; a CHECK on the codes would read
// the whole log under them.

export const name = '0003_field_versions';

export const up = `
ALTER TABLE tasks ADD COLUMN field_versions jsonb;
ALTER TABLE sync_queue
  ADD COLUMN if_seq bigint,
  ADD COLUMN field_outcomes jsonb,
  ADD COLUMN outcome_code text;
`;
