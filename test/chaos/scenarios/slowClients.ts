// Scenario 25: a thousand slow headers and a thousand slow bodies at once. They cost a connection each until they are closed, and honest
// requests do not notice (I8). `operations` counts the slow ones of each kind.
import { quantile, runHonestLoad } from '../abuse/honestLoad.js';
import { openSlowClients } from '../abuse/slowClients.js';
import { CheckFailed, endStack } from '../phases.js';
import type { Scenario } from '../scenario.js';
import { startStack } from '../stack.js';

const PER_SECOND = 40;
const CLOSED_WITHIN_MS = 15_000;
/** A p99 of a few hundred requests on a busy machine has this much of chance in it: two of them in a garbage collection. */
const NOISE_MS = 50;

export const slowClients: Scenario = {
  number: 25,
  name: 'slow-clients',
  title: '1,000 slow headers and 1,000 slow bodies at once: closed within 15 s, unnoticed by others',
  backends: ['redis', 'postgres'],
  runsAlone: true,
  options: { durationMs: 15_000, devices: 0, operations: 1_000, apis: 1, workers: 1, rounds: 0 },
  async run(context) {
    const { options, measures } = context;
    const stack = await startStack(context, options);
    const url = stack.apis()[0]?.url ?? '';
    const seconds = options.durationMs;
    // The first requests compile code: they are nobody's usual.
    await runHonestLoad(url, PER_SECOND, 3_000);
    const before = await runHonestLoad(url, PER_SECOND, seconds);
    const slow = await openSlowClients(url, { headers: options.operations, body: options.operations, silent: 50 });
    const during = await runHonestLoad(url, PER_SECOND, seconds + 1_000);
    const { open, lifetimesMs, statuses } = await slow.finish();
    const after = await runHonestLoad(url, PER_SECOND, seconds);
    const usualMs = Math.max(quantile(before.tookMs, 0.99), quantile(after.tookMs, 0.99));
    const duringMs = quantile(during.tookMs, 0.99);
    const longestMs = Math.max(0, ...lifetimesMs);
    measures.faults['slow clients'] = lifetimesMs.length;
    Object.assign(measures.notes, {
      'usual p99 ms': Math.round(usualMs),
      'p99 ms beside slow clients': Math.round(duringMs),
      'longest life of a slow client ms': Math.round(longestMs),
    });
    const findings = [...before.faults, ...during.faults, ...after.faults].slice(0, 10);
    if (open > 0) findings.push(`${open} slow clients are still connected`);
    if (longestMs > CLOSED_WITHIN_MS) findings.push(`a slow client stayed for ${Math.round(longestMs)} ms`);
    if (duringMs > Math.max(2 * usualMs, usualMs + NOISE_MS)) {
      findings.push(`the p99 of honest requests went from ${Math.round(usualMs)} to ${Math.round(duringMs)} ms`);
    }
    // 503: so many came at once that some were refused before their bodies were read, which is as good.
    const wrong = statuses.filter((status) => ![0, 408, 503].includes(status));
    if (wrong.length > 0) findings.push(`slow clients were answered ${[...new Set(wrong)].join(', ')}`);
    findings.push(...(await endStack(stack, measures.notes)));
    if (findings.length > 0) throw new CheckFailed(findings);
  },
};
