// One part of a run as a section of Markdown. Pure.
import type { PartResult, VariantResult } from '../results.js';
import { spreadOfMetric } from '../results.js';
import type { Column, PartTable } from './columns.js';
import { formatNumber, markdownTable } from './table.js';

export function partSection(part: PartResult, table: PartTable): string {
  const measured = part.variants.filter(({ rounds }) => rounds.length > 0);
  const columns = table.columns.filter(
    (column) => !column.isOptional || measured.some((each) => hasValue(each, column)),
  );
  const base = part.variants.find(({ key }) => key === table.base);
  const rows = measured.map((variant) => [
    variant.label,
    ...columns.map((column) => cell(variant, column)),
    ...(base === undefined ? [] : [ratioTo(base, variant, columns[0])]),
  ]);
  const header = ['', ...columns.map(({ title }) => title), ...(base === undefined ? [] : [`x ${base.label}`])];
  const failures = new Map<string, string[]>();
  for (const { label, failure } of part.variants) {
    if (failure !== undefined) failures.set(failure, [...(failures.get(failure) ?? []), label]);
  }
  const missing = [...failures].map(
    ([failure, labels]) => `- Not measured: ${labels.join('; ')}. The reason: ${failure}`,
  );
  return [
    `## ${table.title}`,
    table.intro,
    ...(part.failure === undefined ? [] : [`**The part broke off:** ${part.failure}`]),
    ...(rows.length === 0 ? [] : [markdownTable(header, rows)]),
    ...(missing.length === 0 ? [] : [missing.join('\n')]),
  ].join('\n\n');
}

const hasValue = (variant: VariantResult, { metric }: Column) => (spreadOfMetric(variant, metric)?.max ?? 0) > 0;

function cell(variant: VariantResult, { metric, hasSpread }: Column): string {
  const spread = spreadOfMetric(variant, metric);
  if (spread === undefined) return '';
  const { median, min, max } = spread;
  return hasSpread && min !== max
    ? `${formatNumber(median)} (${formatNumber(min)}-${formatNumber(max)})`
    : formatNumber(median);
}

function ratioTo(base: VariantResult, variant: VariantResult, column: Column | undefined): string {
  const [own, other] = [variant, base].map((each) => spreadOfMetric(each, column?.metric ?? '')?.median);
  return own === undefined || other === undefined ? '' : formatNumber(own / other);
}
