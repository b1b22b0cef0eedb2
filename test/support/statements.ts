// What a test's own pool (`system.database`) sends to PostgreSQL, seen where both ways to it meet: in the driver.
import pg from 'pg';

type Listener = (client: pg.Client, text: string, values: unknown[] | undefined) => void;

/** Calls `listener` before each statement of the test's pool is sent. @returns how to stop that */
export function onStatement(listener: Listener): () => void {
  const { prototype } = pg.Client;
  const original = prototype.query;
  let isListening = true;
  prototype.query = function query(this: pg.Client, ...parameters: unknown[]) {
    const [config, values] = parameters;
    const { text, bound } = read(config, values);
    const isTests = 'connectionParameters' in this && isOfTest(this.connectionParameters);
    if (isListening && isTests && text !== undefined) {
      isListening = false;
      listener(this, text, bound);
      isListening = true;
    }
    return Reflect.apply(original, this, parameters);
  } as typeof original;
  return () => {
    prototype.query = original;
  };
}

function read(config: unknown, values: unknown): { text: string | undefined; bound: unknown[] | undefined } {
  if (typeof config === 'string') return { text: config, bound: Array.isArray(values) ? values : undefined };
  if (typeof config !== 'object' || config === null || !('text' in config))
    return { text: undefined, bound: undefined };
  const bound: unknown = 'values' in config ? config.values : undefined;
  return { text: String(config.text), bound: Array.isArray(bound) ? bound : undefined };
}

/** The product's own pools in this process have other names. */
function isOfTest(parameters: unknown): boolean {
  const name: unknown =
    typeof parameters === 'object' && parameters !== null && 'application_name' in parameters
      ? parameters.application_name
      : undefined;
  return name === 'task-sync test';
}
