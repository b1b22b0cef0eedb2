// How far compaction's time has come. It follows the database's clock, but only some steps at a time: a clock that was set to the next year by
// mistake does not make everything old at once.

export const name = '0010_compaction_clock';

export const up = `
CREATE TABLE compaction_clock (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  reached timestamptz NOT NULL DEFAULT now()
);
INSERT INTO compaction_clock DEFAULT VALUES;
`;
