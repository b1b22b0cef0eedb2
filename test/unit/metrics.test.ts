// The metrics as their readers know them: the table of docs/operations.md and the alert rules name what there is, and nothing else.
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { load } from 'js-yaml';
import { createApiMetrics } from '../../src/metrics/apiMetrics.js';
import type { Figures } from '../../src/metrics/figures.js';
import { createWorkerMetrics } from '../../src/metrics/workerMetrics.js';
import { metricValue, parseMetrics } from '../support/metrics.js';

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

const KNOWN: Figures = {
  isDatabaseUp: true,
  backlog: { pending: 7, failed: 2, oldestPendingAt: '2026-01-31T10:30:00.000000Z' },
  depths: { waiting: 1, active: 2, delayed: 3, failed: 4 },
  queueState: 'up',
  clockSkewMs: -1_500,
  pool: { inUse: 1, idle: 2, waiting: 3, max: 8 },
};
const AT_11 = 1_769_857_200_000_000n;

let figures = KNOWN;
const shared = [async () => figures, () => AT_11] as const;
const api = createApiMetrics(...shared);
const worker = createWorkerMetrics(...shared);

const namesOf = ({ registry }: typeof api | typeof worker) => registry.getMetricsAsArray().map(({ name }) => name);
const ours = (names: string[]) => names.filter((name) => name.startsWith('task_sync_'));

interface Rule {
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: { summary: string; action: string };
}

function isRules(value: unknown): value is { groups: { rules: Rule[] }[] } {
  return typeof value === 'object' && value !== null && 'groups' in value && Array.isArray(value.groups);
}

function readRules(): Rule[] {
  const document = load(read('deploy/prometheus/alerts.yml'));
  if (!isRules(document)) throw new Error('alerts.yml has no groups');
  return document.groups.flatMap(({ rules }) => rules);
}

describe('the table of metrics in docs/operations.md', () => {
  const rows = [...read('docs/operations.md').matchAll(/^\| `(task_sync_\w+)` *\| (both|api|worker) *\| ([^|]*)\|/gm)];
  const documented = (...processes: string[]) =>
    rows.flatMap(([, name = '', process = '']) => (processes.includes(process) ? [name] : []));

  it('lists exactly what api and worker show', () => {
    expect(documented('both', 'api')).to.have.members(ours(namesOf(api)));
    expect(documented('both', 'worker')).to.have.members(ours(namesOf(worker)));
  });

  it('names the values of labels that are there', async () => {
    const samples = [api, worker].map(async (metrics) => parseMetrics((await metrics.scrape()).text));
    const shown = (await Promise.all(samples)).flat();
    for (const [, name = '', , labels = ''] of rows) {
      const [, label, values] = /`(\w+)`: (.*)/.exec(labels) ?? [];
      if (label === undefined || values === undefined) continue;
      const listed = [...values.matchAll(/`(\w+)`/g)].map(([, value]) => value);
      const found = shown.filter((each) => each.name === name).map((each) => each.labels[label]);
      expect(new Set(found), name).to.deep.equal(new Set(listed));
    }
  });
});

describe('deploy/prometheus/alerts.yml', () => {
  const known = new Set([...namesOf(api), ...namesOf(worker)]);
  /** Names that Prometheus makes of a histogram, and the one that it makes itself. */
  const base = (name: string) => name.replace(/_(bucket|sum|count)$/, '');

  it('names only metrics that exist, and each rule names one', () => {
    for (const { alert, expr } of readRules()) {
      const names = [...expr.matchAll(/\b(?:task_sync|nodejs|process)_\w+|\bup\b(?=\{)/g)].map(([name]) => name);
      expect(names, alert).to.not.be.empty;
      for (const name of names.filter((each) => each !== 'up')) {
        expect(known.has(name) || known.has(base(name)), `${alert}: ${name}`).to.equal(true);
      }
    }
  });

  it('says in each rule what is wrong, what to do, and how much it hurries', () => {
    const rules = readRules();
    expect(new Set(rules.map(({ alert }) => alert)).size).to.equal(rules.length);
    for (const { alert, labels, annotations } of rules) {
      expect(labels.severity, alert).to.be.oneOf(['page', 'ticket']);
      expect(annotations.summary, alert).to.match(/\.$/);
      expect(annotations.action, alert).to.match(/\.$/);
    }
  });

  it('points to headings of docs/operations.md that exist', () => {
    const text = read('docs/operations.md');
    const headings = readRules().flatMap(({ annotations }) => /"(.+)"/.exec(annotations.action)?.[1] ?? []);
    expect(headings).to.not.be.empty;
    for (const heading of headings) expect(text).to.include(`### ${heading}\n`);
  });
});

describe('a scrape', () => {
  it('shows the figures that were asked for', async () => {
    const samples = parseMetrics((await worker.scrape()).text);
    expect(metricValue(samples, 'task_sync_pending_operations')).to.equal(7);
    expect(metricValue(samples, 'task_sync_failed_operations')).to.equal(2);
    expect(metricValue(samples, 'task_sync_oldest_pending_age_seconds')).to.equal(1_800);
    expect(metricValue(samples, 'task_sync_queue_jobs', { state: 'delayed' })).to.equal(3);
    expect(metricValue(samples, 'task_sync_database_pool_waiting')).to.equal(3);
  });

  it('leaves out what is not known, and says which part does not answer', async () => {
    figures = { ...KNOWN, isDatabaseUp: false, backlog: undefined, depths: undefined, queueState: 'full' };
    const samples = parseMetrics((await worker.scrape()).text);
    figures = KNOWN;
    expect(metricValue(samples, 'task_sync_up', { dependency: 'database' })).to.equal(0);
    expect(metricValue(samples, 'task_sync_up', { dependency: 'queue' })).to.equal(0);
    expect(metricValue(samples, 'task_sync_queue_full')).to.equal(1);
    for (const name of ['pending_operations', 'failed_operations', 'oldest_pending_age_seconds', 'queue_jobs']) {
      expect(samples.filter((each) => each.name === `task_sync_${name}`)).to.deep.equal([]);
    }
    expect(metricValue(samples, 'process_resident_memory_bytes')).to.be.above(0);
  });
});
