// What the routes work with, built once by the entry file and passed on as an argument.
import type { Config } from '../../config/index.js';
import type { RefuseStranger } from '../adminAccess.js';
import type { BrowserAccess } from '../browserAccess.js';
import type { Logger } from '../logger.js';
import type { ApiMetrics } from '../metrics/apiMetrics.js';
import type { Producer } from '../queue/producer.js';
import type { WakeUpPublisher } from '../queue/wakeUps.js';
import type { Database } from '../storage/database.js';
import type { ServerClock } from '../sync/clock.js';
import type { TimeLine } from '../timeLine.js';
import type { Accept } from './accepting.js';
import type { Admission } from './admission/admission.js';
import type { Answers } from './answers.js';
import type { Levels } from './levels.js';
import type { OpenStreams } from './openStreams.js';
import type { ReadOutcomes } from './readingOutcomes.js';
import type { ReadPage } from './sharedPages.js';
import type { Tails } from './tails.js';
import type { ToldBatches } from './toldBatches.js';

export interface ApiDeps {
  config: Config;
  /** Which requests of browsers are served. */
  browserAccess: BrowserAccess;
  database: Database;
  timeLine: TimeLine;
  accept: Accept;
  readOutcomes: ReadOutcomes;
  readPage: ReadPage;
  producer: Producer;
  levels: Levels;
  toldBatches: ToldBatches;
  tails: Tails;
  streams: OpenStreams;
  wakeUps: WakeUpPublisher;
  logger: Logger;
  metrics: ApiMetrics;
  /** What this process takes on. */
  admission: Admission;
  /** How long answers are sent. */
  answers: Answers;
  /** Who may see what is for operators. */
  refuseStranger: RefuseStranger;
  /** A number in [0, 1). */
  random: () => number;
  clock: ServerClock;
  /** Makes a UUIDv7. */
  newId: () => string;
  version: string;
  /** Aborted when the process starts to end: waiting requests are answered with what there is. */
  stopping: AbortSignal;
}
