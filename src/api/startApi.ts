// Wiring of an api process: opens what it needs, builds the application, listens. Whatever it opened closes with `shutdown`.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as newUuid } from 'uuid';
import type { Config } from '../../config/index.js';
import { connect } from '../connect.js';
import { listen } from '../listen.js';
import type { Logger } from '../logger.js';
import { createWakeUpPublisher, subscribeWakeUps } from '../queue/wakeUps.js';
import type { Shutdown } from '../shutdown.js';
import { createServerClock } from '../sync/clock.js';
import { createApp } from './app.js';
import { createLevels } from './levels.js';
import { createOpenStreams } from './openStreams.js';
import { serveSockets } from './socket.js';
import { createTails } from './tails.js';

/**
 * Starts serving once the database answers and is migrated.
 * @param nowMs the server's clock
 * @returns the port that is listened on
 * @throws EADDRINUSE and the like
 */
export async function startApi(
  config: Config,
  logger: Logger,
  shutdown: Shutdown,
  nowMs: () => number,
): Promise<{ port: number }> {
  const { database, queue, producer } = await connect(config, 'api', logger, shutdown, nowMs);
  const levels = createLevels(database, logger);
  shutdown.push('levels', levels.close);
  const wakeUps = createWakeUpPublisher(queue, logger);
  shutdown.push('sent wake-ups', () => wakeUps.close());
  const received = subscribeWakeUps(queue, logger, levels.receive);
  shutdown.push('received wake-ups', () => received.close());

  const deps = {
    config,
    database,
    producer,
    levels,
    tails: createTails(database, levels, logger),
    streams: createOpenStreams(config.streamMax),
    wakeUps,
    logger,
    clock: createServerClock(nowMs),
    newId: newUuid,
    version: readVersion(),
    stopping: shutdown.signal,
  };
  const { requestTimeoutMs } = config;
  // Set here and not after listen(): later settings left a slow body open for over nine seconds.
  const timeouts = {
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: 1_000,
  };
  const server = createServer({ ...timeouts, keepAliveTimeout: 65_000 }, createApp(deps));
  const closeSockets = serveSockets(server, deps);
  const http = await listen(server, config.port, config.host);
  shutdown.push('http', () => http.close());
  shutdown.push('sockets', closeSockets);
  shutdown.push('draining', async () => {
    http.drain();
    await sleep(config.shutdownDrainMs);
  });
  logger.info('api is listening', { host: config.host, port: http.port, queue: queue.kind });
  return { port: http.port };
}

function readVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return String(JSON.parse(text).version);
}
