// timestamptz columns as canonical text. Sequelize's own DATE type goes through a JavaScript Date and loses the microseconds.
import { DataTypes } from 'sequelize';

/** A column type that passes canonical timestamps through untouched, in both directions. */
class CanonicalTimestamp extends DataTypes.ABSTRACT {
  override key = 'CANONICAL_TIMESTAMP';
  override toSql(): string {
    return 'TIMESTAMP WITH TIME ZONE';
  }
}

/** The data type of every timestamp column in the models. */
export const TIMESTAMP = new CanonicalTimestamp();

const UNREADABLE =
  'PostgreSQL writes times neither in ISO style nor in UTC: the session has another DateStyle or TimeZone';

/**
 * PostgreSQL's text of a timestamptz (`2026-01-31 10:30:00.5+00`) as canonical text.
 * The session's time zone is UTC (set at connect), so the offset is always +00.
 * @throws an Error where a session is of another style: better none than a wrong time
 */
export function canonicalFromPostgres(text: string): string {
  if (text[4] !== '-' || !text.endsWith('+00')) throw new Error(UNREADABLE);
  const offsetAt = text.length - 3;
  const fraction = text.slice(20, offsetAt).padEnd(6, '0');
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction}Z`;
}
