// Wiring of the admission: what it measures, and where it counts.
import type { Config } from '../../../config/index.js';
import type { Logger } from '../../logger.js';
import type { ApiMetrics } from '../../metrics/apiMetrics.js';
import type { Shutdown } from '../../shutdown.js';
import type { Database } from '../../storage/database.js';
import { countPending } from '../../storage/readBacklog.js';
import { readPool } from '../../storage/readPool.js';
import type { Answers } from '../answers.js';
import { type Admission, createAdmission } from './admission.js';
import { createLoopLag } from './loopLag.js';
import { createPendingEstimate } from './pendingEstimate.js';

/** Starts measuring, until `shutdown`. */
export function startAdmission(
  limits: Config['admission'],
  deps: { database: Database; answers: Answers; metrics: ApiMetrics; logger: Logger; shutdown: Shutdown },
): Admission {
  const { database, answers, metrics, logger, shutdown } = deps;
  const lag = createLoopLag();
  shutdown.push('event loop lag', lag.close);
  // Far enough to see both limits reached, and only the workspaces that are on the way to theirs.
  const bound = Math.max(limits.pendingMax, limits.pendingMaxPerWorkspace) + 1;
  const minimum = Math.ceil(limits.pendingMaxPerWorkspace / 10);
  // Without a time limit of its own: a count that is cut off every time would leave the estimate growing for ever. The statement has one.
  const count = () => countPending(database, bound, minimum);
  const pending = createPendingEstimate(count, () => performance.now(), logger);
  const poolWaiting = () => readPool(database).waiting;
  const unread = { bytes: answers.unreadBytes, room: answers.room };
  const admission = createAdmission(limits, { lag, unread, pending, poolWaiting, onShed: metrics.shed });
  metrics.watch(admission.figures);
  return admission;
}
