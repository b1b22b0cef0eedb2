// Scenario 24: 50,000 hostile requests and some thousand hostile messages over sockets (I5, I7, I8). `operations` counts the requests.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FUZZ_TOKEN, fuzzSystem } from '../abuse/fuzzSystem.js';
import { CheckFailed, endStack } from '../phases.js';
import type { Scenario } from '../scenario.js';
import { startStack } from '../stack.js';

/** More requests at once would only wait for each other. */
const CONCURRENCY = 8;
const REQUESTS_A_MESSAGE = 20;

export const fuzz: Scenario = {
  number: 24,
  name: 'fuzz',
  title: '50,000 hostile requests: never a 5xx, never a byte of another workspace',
  backends: ['redis', 'postgres'],
  options: { durationMs: 0, devices: 0, operations: 50_000, apis: 1, workers: 1, rounds: 0 },
  async run(context) {
    const { seed, options, measures, folder } = context;
    const stack = await startStack(context, { ...options, env: { ADMIN_TOKEN: FUZZ_TOKEN } });
    const [api] = stack.apis();
    const system = { url: api?.url ?? '', databaseUrl: stack.databaseUrl };
    const messages = Math.ceil(options.operations / REQUESTS_A_MESSAGE);
    const report = await fuzzSystem(system, { seed, requests: options.operations, messages, concurrency: CONCURRENCY });
    measures.operations = report.requests + report.messages;
    measures.acknowledged = measures.operations;
    measures.faults['hostile requests'] = report.requests;
    measures.faults['hostile messages over sockets'] = report.messages;
    for (const [status, count] of Object.entries(report.statuses)) measures.notes[`answered ${status}`] = count;
    const findings = await endStack(stack, measures.notes);
    for (const { name } of stack.places) {
      const errors = readFileSync(join(folder, `${name}.log`), 'utf8').match(/^.*"level":"error".*$/gm) ?? [];
      if (errors.length > 0) findings.push(`${name} has logged ${errors.length} errors: ${errors[0]}`);
    }
    if (findings.length > 0) throw new CheckFailed(findings);
  },
};
