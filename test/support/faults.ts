// Faults that only the database can show: triggers on the tasks table that refuse chosen titles with a chosen SQLSTATE.
import type { Database } from '../../src/storage/database.js';

/**
 * From now on writing a task whose title contains `word` fails with `sqlState`.
 * @param times how often, from the first time on; without it always. Counted in a sequence, which no rollback turns back
 * @returns a function that ends it
 */
export async function refuseTitles(database: Database, word: string, sqlState: string, times?: number) {
  const name = `refuse_${word.toLowerCase()}`;
  await database.sequelize.query(`CREATE SEQUENCE ${name}_count`);
  await database.sequelize.query(`
    CREATE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
      IF nextval('${name}_count') <= ${times ?? Number.MAX_SAFE_INTEGER} THEN
        RAISE EXCEPTION 'refused: ${word}' USING ERRCODE = '${sqlState}';
      END IF;
      RETURN NEW;
    END $body$`);
  await database.sequelize.query(`
    CREATE TRIGGER ${name} BEFORE INSERT OR UPDATE ON tasks FOR EACH ROW
    WHEN (NEW.title LIKE '%${word}%') EXECUTE FUNCTION ${name}()`);
  return async () => {
    await database.sequelize.query(`DROP TRIGGER ${name} ON tasks`);
  };
}
