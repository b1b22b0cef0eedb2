// Wiring of an api process: opens what it needs, builds the application, listens. Whatever it opened closes with `shutdown`.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { v7 as newUuid } from 'uuid';
import type { Config } from '../../config/index.js';
import { connect } from '../connect.js';
import { listen } from '../listen.js';
import type { Logger } from '../logger.js';
import { createApiMetrics } from '../metrics/apiMetrics.js';
import { createFigures } from '../metrics/figures.js';
import { withTimeLimit } from '../queue/producer.js';
import { createWakeUpPublisher, subscribeWakeUps } from '../queue/wakeUps.js';
import { shareUnfinished } from '../shareUnfinished.js';
import type { Shutdown } from '../shutdown.js';
import type { Database } from '../storage/database.js';
import { countPending } from '../storage/readBacklog.js';
import { readPool } from '../storage/readPool.js';
import { createServerClock } from '../sync/clock.js';
import { createAdmission } from './admission/admission.js';
import { createLoopLag } from './admission/loopLag.js';
import { createPendingEstimate } from './admission/pendingEstimate.js';
import { createApp } from './app.js';
import { createLevels } from './levels.js';
import { createOpenStreams } from './openStreams.js';
import { serveSockets } from './socket.js';
import { createTails } from './tails.js';

/**
 * How often requests that are too slow are closed. All that are due go in one turn of the event loop, some 120 us each: looked for
 * every second, 2,000 slow clients that had come within half a second held everybody else up for 150 ms.
 */
const LATE_REQUESTS_EVERY_MS = 100;

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

  const clock = createServerClock(nowMs);
  const metrics = createApiMetrics(createFigures({ database, producer, logger }), clock.nowMicros);
  const lag = createLoopLag();
  shutdown.push('event loop lag', lag.close);
  const pending = estimatePending(database, config.admission, logger);
  const admission = createAdmission(config.admission, {
    lag,
    pending,
    poolWaiting: () => readPool(database).waiting,
    onShed: metrics.shed,
  });
  metrics.watch(admission.figures);

  const deps = {
    config,
    database,
    producer,
    levels,
    tails: createTails(database, levels, logger),
    streams: createOpenStreams(config.streamMax, metrics.streams),
    wakeUps,
    logger,
    metrics,
    admission,
    random: Math.random,
    clock,
    newId: newUuid,
    version: readVersion(),
    stopping: shutdown.signal,
  };
  const { requestTimeoutMs } = config;
  // Set here and not after listen(): later settings left a slow body open for over nine seconds.
  const timeouts = {
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: LATE_REQUESTS_EVERY_MS,
  };
  const server = createServer({ ...timeouts, keepAliveTimeout: 65_000 }, createApp(deps));
  const closeSockets = serveSockets(server, deps);
  const http = await listen(server, config.port, config.host);
  shutdown.push('http', () => http.close());
  shutdown.push('sockets', closeSockets);
  logger.info('api is listening', { host: config.host, port: http.port, queue: queue.kind });
  return { port: http.port };
}

/** A count that takes longer is too late to be of use; its answer is not waited for. */
const COUNT_LIMIT_MS = 1_000;

function estimatePending(database: Database, limits: Config['admission'], logger: Logger) {
  // Far enough to see both limits reached, and only the workspaces that are on the way to theirs.
  const bound = Math.max(limits.pendingMax, limits.pendingMaxPerWorkspace) + 1;
  const minimum = Math.ceil(limits.pendingMaxPerWorkspace / 10);
  const count = shareUnfinished(() => countPending(database, bound, minimum));
  return createPendingEstimate(
    () => withTimeLimit(count(), COUNT_LIMIT_MS),
    () => performance.now(),
    logger,
  );
}

function readVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return String(JSON.parse(text).version);
}
