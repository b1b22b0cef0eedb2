// Wiring of an api process: opens what it needs, builds the application, listens. Whatever it opened closes with `shutdown`.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/index.js';
import { createAdminAccess } from '../adminAccess.js';
import { createBrowserAccess } from '../browserAccess.js';
import { connect } from '../connect.js';
import { listen } from '../listen.js';
import type { Logger } from '../logger.js';
import { createApiMetrics } from '../metrics/apiMetrics.js';
import { createFigures } from '../metrics/figures.js';
import { newId } from '../newId.js';
import { createWakeUpPublisher, subscribeWakeUps } from '../queue/wakeUps.js';
import type { Shutdown } from '../shutdown.js';
import { createServerClock } from '../sync/clock.js';
import { createAccept } from './accepting.js';
import { startAdmission } from './admission/startAdmission.js';
import { createAnswers, cutUnread } from './answers.js';
import { createApp } from './app.js';
import { closeBrokenRequests } from './brokenRequests.js';
import { createExpressServer } from './expressServer.js';
import { createLevels } from './levels.js';
import { createOpenStreams } from './openStreams.js';
import { createReadOutcomes } from './readingOutcomes.js';
import { createReadPage } from './sharedPages.js';
import { closeSlowBodies } from './slowBodies.js';
import { serveSockets } from './socket.js';
import { createTails } from './tails.js';
import { createToldBatches } from './toldBatches.js';

/** How often it is looked for requests that are late. A look goes through all that are still being received: 22 us with 2,000 of them. */
const LATE_REQUESTS_EVERY_MS = 100;

/**
 * Starts serving once the database answers and is migrated.
 * @param nowMs the server's clock, for tests; else it is the database's
 * @returns the port that is listened on
 * @throws EADDRINUSE and the like
 */
export async function startApi(
  config: Config,
  logger: Logger,
  shutdown: Shutdown,
  nowMs?: () => number,
): Promise<{ port: number }> {
  const connected = await connect(config, 'api', logger, shutdown);
  const { database, timeLine, queue, producer } = connected;
  const levels = createLevels(database, timeLine, logger);
  shutdown.push('levels', levels.close);
  const wakeUps = createWakeUpPublisher(queue, logger);
  shutdown.push('sent wake-ups', () => wakeUps.close());
  const toldBatches = createToldBatches(newId(), timeLine);
  const received = subscribeWakeUps(queue, logger, {
    name: toldBatches.name,
    onOutcomes: toldBatches.receive,
    onWakeUp: levels.receive,
  });
  shutdown.push('received wake-ups', () => received.close());

  const clock = createServerClock(nowMs ?? connected.clock.nowMs);
  const metrics = createApiMetrics(
    createFigures({ database, producer, logger, skewMs: connected.clock.skewMs }),
    clock.nowMicros,
  );
  const answers = createAnswers(config.answers, () => metrics.shed('unread_answers'));
  const admission = startAdmission(config.admission, { database, answers, metrics, logger, shutdown });
  const deps = {
    config,
    browserAccess: createBrowserAccess(config.browsers),
    database,
    timeLine,
    accept: createAccept(database),
    readOutcomes: createReadOutcomes(database, timeLine, config.responseLimitBytes),
    readPage: createReadPage(database, timeLine),
    producer,
    levels,
    toldBatches,
    tails: createTails({ database, timeLine, levels, logger }),
    streams: createOpenStreams(config.streamMax, metrics.streams, () => metrics.shed('streams')),
    wakeUps,
    logger,
    metrics,
    admission,
    answers,
    refuseStranger: createAdminAccess(config, () => performance.now()),
    random: Math.random,
    clock,
    newId,
    version: readVersion(),
    stopping: shutdown.signal,
  };
  const { requestTimeoutMs, requestSilenceMs } = config;
  // Set here and not after listen(): later settings left a slow body open for over nine seconds.
  const timeouts = {
    // Headers are short: what a silence may take is enough for all of them.
    headersTimeout: Math.min(requestSilenceMs, requestTimeoutMs),
    requestTimeout: requestTimeoutMs,
    connectionsCheckingInterval: LATE_REQUESTS_EVERY_MS,
  };
  const server = createExpressServer(
    { ...timeouts, keepAliveTimeout: 65_000, requireHostHeader: false },
    createApp(deps),
  );
  closeBrokenRequests(server, deps);
  cutUnread(server, config.answers.stallMs);
  shutdown.push('looks at slow bodies', closeSlowBodies(server, requestSilenceMs));
  const closeSockets = serveSockets(server, deps);
  const http = await listen(server, config.port, config.host);
  shutdown.push('http', () => http.close());
  shutdown.push('sockets', closeSockets);
  shutdown.push('draining', async () => {
    http.drain();
    await sleep(config.shutdownDrainMs);
  });
  logger.info('api is listening', {
    host: config.host,
    port: http.port,
    queue: queue.kind,
    installation: queue.installation(),
  });
  return { port: http.port };
}

function readVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return String(JSON.parse(text).version);
}
