// What people read of a run: a line for each scenario and a table at the end.
import type { ScenarioResult } from './runScenario.js';

/** The value below which `share` of the values lie; undefined without any. */
export function percentile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** One scenario in one line. */
export function describeResult(result: ScenarioResult): string {
  const { scenario, measures, fault, tookMs } = result;
  const { memory } = measures;
  const parts = [
    fault === undefined ? 'passed' : 'FAILED',
    `${measures.operations} operations, ${measures.acknowledged} acknowledged, ${measures.resends} resent`,
    describeFaults(result),
    measures.recoveryMs === undefined ? 'no recovery' : `recovered in ${Math.round(measures.recoveryMs)} ms`,
    `accept p50 ${shown(percentile(measures.acceptMs, 0.5))} p99 ${shown(percentile(measures.acceptMs, 0.99))} ms`,
    memory === undefined ? '' : `memory ${memory.startMb} -> ${memory.endMb} MB, peak ${memory.peakMb}`,
    ...Object.entries(measures.notes).map(([name, value]) => `${name} ${value}`),
    `took ${Math.round(tookMs / 1_000)} s`,
  ];
  return `${scenario.number} ${scenario.name}: ${parts.filter((part) => part !== '').join('; ')}`;
}

/** All results as a table. */
export function describeTable(results: readonly ScenarioResult[]): string {
  const rows = results.map((result) => {
    const { scenario, measures, fault, seed } = result;
    return [
      String(scenario.number),
      scenario.name,
      String(seed),
      String(measures.operations),
      String(measures.acknowledged),
      String(measures.resends),
      String(Object.values(measures.faults).reduce((sum, count) => sum + count, 0)),
      shown(measures.recoveryMs),
      shown(percentile(measures.acceptMs, 0.5)),
      shown(percentile(measures.acceptMs, 0.99)),
      measures.memory === undefined ? '-' : `${measures.memory.endMb}/${measures.memory.peakMb}`,
      fault === undefined ? 'passed' : 'FAILED',
    ];
  });
  const head = [
    'no',
    'scenario',
    'seed',
    'operations',
    'acknowledged',
    'resent',
    'faults',
    'recovery ms',
    'p50 ms',
    'p99 ms',
    'MB end/peak',
    'result',
  ];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [head, ...rows].map(line).join('\n');
}

function describeFaults({ measures }: ScenarioResult): string {
  const faults = Object.entries(measures.faults);
  return faults.length === 0 ? 'no faults' : faults.map(([kind, count]) => `${count} x ${kind}`).join(', ');
}

const shown = (value: number | undefined) => (value === undefined ? '-' : String(Math.round(value)));
