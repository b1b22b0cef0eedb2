// What the connection pool is doing, for the metrics.
import type { Database } from './database.js';

export interface PoolFigures {
  inUse: number;
  idle: number;
  /** Statements that wait for a connection. */
  waiting: number;
  max: number;
}

/** Reads the pool's counters; no query. Sequelize has them, but does not declare them. */
export function readPool({ sequelize }: Database): PoolFigures {
  const pool: unknown = Reflect.get(sequelize.connectionManager, 'pool');
  const figure = (name: string): number => {
    const value: unknown = typeof pool === 'object' && pool !== null ? Reflect.get(pool, name) : undefined;
    return typeof value === 'number' ? value : 0;
  };
  return { inUse: figure('using'), idle: figure('available'), waiting: figure('waiting'), max: figure('maxSize') };
}
