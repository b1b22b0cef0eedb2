// Scenario 20: PostgreSQL's disk is full. What cannot be stored is not acknowledged; PostgreSQL may end itself when it cannot write its log,
// and is started again, as an operator or a platform does; with room again everything goes on (I1). `rounds` counts how often.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../client.js';
import { pauseUntil } from '../fleet.js';
import { runPhases } from '../phases.js';
import { createProbes, judgeProbe, type Probes } from '../probes.js';
import type { Scenario, ScenarioContext } from '../scenario.js';
import { mountSmallDisk, type SmallDisk } from '../smallDisk.js';
import { type Stack, startStack } from '../stack.js';

/** A new cluster takes 40 MiB, its log's segments 16 each. */
const DISK_MIB = 320;
const FULL_MS = 12_000;
const PAUSE_MS = 5_000;
const POLL_MS = 250;
const ANSWER_WITHIN_MS = 15_000;

export const fullDisk: Scenario = {
  number: 20,
  name: 'full-disk',
  title: "PostgreSQL's disk is full: nothing falsely acknowledged, and it goes on when there is room",
  backends: ['redis', 'postgres'],
  options: { durationMs: 60_000, devices: 10, operations: 6_000, apis: 1, workers: 2, rounds: 3 },
  async run(context) {
    const disk = mountSmallDisk(join(context.folder, 'database'), DISK_MIB);
    if (typeof disk === 'string') {
      context.measures.notes.SKIPPED = disk;
      context.say(`!!!!! Scenario 20 did NOT run: this machine lets us mount no small disk (${disk}). !!!!!`);
      return;
    }
    const stack = await startStack(context, context.options);
    const client = createClient(2 * ANSWER_WITHIN_MS);
    const findings: string[] = [];
    let probes: Probes | undefined;
    await runPhases(context, {
      stack,
      honoursReadiness: false,
      async faults(run) {
        probes = createProbes(run, client);
        for (let round = 0; round < context.options.rounds; round += 1) {
          findings.push(...(await fillUp(context, stack, disk, probes)));
          await pauseUntil(Date.now() + PAUSE_MS, context.signal);
        }
      },
      heal: () => probes?.settle() ?? Promise.resolve(),
      check: () => findings,
    });
    client.close();
    await stack.stopServers();
    disk.remove();
  },
};

async function fillUp(context: ScenarioContext, stack: Stack, disk: SmallDisk, probes: Probes): Promise<string[]> {
  const findings: string[] = [];
  const { notes } = context.measures;
  let refused = 0;
  for (const until = Date.now() + FULL_MS; Date.now() < until; await sleep(POLL_MS)) {
    // PostgreSQL frees a little now and then; and while it is away nothing else may take what it will need.
    disk.fill();
    const answer = await probes.push(0);
    if (answer.status === 503) refused += 1;
    findings.push(...judgeProbe(answer, ANSWER_WITHIN_MS));
  }
  context.countFault('disk filled');
  notes['refused while full'] = Number(notes['refused while full'] ?? 0) + refused;
  if (refused === 0) findings.push('nothing was refused on a full disk: it was no test');
  disk.makeRoom();
  const roomAt = performance.now();
  if (!stack.postgres.isRunning()) {
    context.countFault('PostgreSQL had ended itself');
    await stack.postgres.start();
  }
  while ((await probes.push(0)).status === 503 && performance.now() - roomAt < 2 * ANSWER_WITHIN_MS)
    await sleep(POLL_MS);
  const backMs = Math.round(performance.now() - roomAt);
  notes['taken again after ms'] = Math.max(Number(notes['taken again after ms'] ?? 0), backMs);
  if (backMs > ANSWER_WITHIN_MS) findings.push(`pushes were taken again ${backMs} ms after there was room`);
  return findings;
}
