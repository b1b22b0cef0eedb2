// What a pool of this process sends to PostgreSQL, the test's own (`system.database`) or the product's, seen where both ways to it meet: in the driver.
import pg from 'pg';

type Listener = (client: pg.Client, text: string, values: unknown[] | undefined) => void;

/** Calls `listener` before each statement of the pools of that name is sent, those of the test if none is given. @returns how to stop that */
export function onStatement(listener: Listener, poolName = 'test'): () => void {
  const { prototype } = pg.Client;
  const original = prototype.query;
  let isListening = true;
  prototype.query = function query(this: pg.Client, ...parameters: unknown[]) {
    const [config, values] = parameters;
    const { text, bound } = read(config, values);
    const isOfPool = 'connectionParameters' in this && nameIn(this.connectionParameters) === `task-sync ${poolName}`;
    if (isListening && isOfPool && text !== undefined) {
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

function nameIn(parameters: unknown): unknown {
  const hasName = typeof parameters === 'object' && parameters !== null && 'application_name' in parameters;
  return hasName ? parameters.application_name : undefined;
}
