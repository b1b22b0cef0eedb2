// What the demo shows on the terminal: a progress bar while it runs, a table at its end.
import type { Fate, Outcome, Tally } from './outcomes.js';

const BAR_WIDTH = 24;
/** Without a terminal, about this many lines tell the progress. */
const PLAIN_LINES = 8;

/** Some terminals do not say how wide they are, or say 0. */
const ASSUMED_COLUMNS = 80;

/** The part of a stream that the progress needs; process.stdout is one. */
export interface Screen {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
}

export interface Progress {
  /** Call after each batch with the number of operations sent so far. */
  advance(operations: number, note: string): void;
  /** Leaves the bar's line, also when a problem ends the run. */
  end(): void;
}

/** A bar that redraws itself on a terminal, or a plain line now and then where the output is a file or a pipe. */
export function createProgress(screen: Screen, totalBatches: number): Progress {
  let done = 0;
  let barIsOpen = false;
  return {
    advance(operations, note) {
      done += 1;
      const counts = `${done}/${totalBatches} batches, ${operations} operations`;
      if (screen.isTTY) {
        const filled = Math.round((done / totalBatches) * BAR_WIDTH);
        const line = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${counts}: ${note}`;
        screen.write(`\r\x1b[K${line.slice(0, (screen.columns || ASSUMED_COLUMNS) - 1)}`);
        barIsOpen = true;
      } else if (done % Math.ceil(totalBatches / PLAIN_LINES) === 0 || done === totalBatches) {
        screen.write(`${counts}: ${note}\n`);
      }
    },
    end() {
      if (barIsOpen) screen.write('\n');
      barIsOpen = false;
    },
  };
}

const always: Fate[] = ['applied', 'conflicts', 'duplicates', 'rejected'];
const whenPresent: Fate[] = ['not found', 'existed', 'unanswered'];

/** The table: one row a device and the total; columns of rare fates appear only when there is something in them. */
export function formatTable(rows: readonly Tally[]): string {
  const fates = [...always, ...whenPresent.filter((fate) => rows.some((row) => row.fates[fate] > 0))];
  const head = ['', 'sent', ...fates, 'ops/s'];
  const body = rows.map((row) => {
    return [row.name, row.sent, ...fates.map((fate) => row.fates[fate]), Math.round(row.opsPerSecond)].map(String);
  });
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  const rule = '-'.repeat(line(head).length);
  return [line(head), rule, ...body.slice(0, -1).map(line), rule, ...body.slice(-1).map(line)].join('\n');
}

/** Says what the speed column measures: the batches go one after the other, so most of it is waiting for answers. */
export function formatPace(batches: number, elapsedMs: number): string {
  const each = Math.round(elapsedMs / batches);
  return `${batches} batches, one after the other, in ${(elapsedMs / 1000).toFixed(1)} s: ${each} ms each until the answer.`;
}

/** Says whether anything was lost. */
export function formatVerdict(outcomes: readonly Outcome[]): string {
  const lost = outcomes.filter(({ fate }) => fate === 'unanswered').length;
  if (lost === 0) return `All ${outcomes.length} operations have an answer; 0 lost.`;
  return `${outcomes.length - lost} of ${outcomes.length} operations have an answer; ${lost} have none.`;
}
