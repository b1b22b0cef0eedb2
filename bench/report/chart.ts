// A bar chart as SVG: horizontal bars with their labels and values, readable on light and dark pages. Pure, and made by hand because it is
// forty lines; a chart library would be the largest dependency of the repository.

export interface Bar {
  label: string;
  value: number;
  isOurs: boolean;
}

export interface BarGroup {
  title: string;
  bars: readonly Bar[];
}

const WIDTH = 760;
const LABEL_WIDTH = 300;
const VALUE_WIDTH = 90;
const ROW = 24;
const BAR = 16;
const GAP = 44;
const STYLE =
  'text{font:13px system-ui,sans-serif;fill:#57606a}.t{font-weight:600;fill:#24292f}.o{fill:#0969da}.p{fill:#afb8c1}@media(prefers-color-scheme:dark){text{fill:#9198a1}.t{fill:#f0f6fc}.o{fill:#4493f8}.p{fill:#656c76}}';

/** Each group has a scale of its own, from zero to its longest bar. */
export function barChart(groups: readonly BarGroup[], format: (value: number) => string): string {
  let y = 0;
  const parts = groups.map(({ title, bars }) => {
    y += GAP;
    const heading = `<text class="t" x="0" y="${y - 14}">${escapeText(title)}</text>`;
    const longest = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
    const rows = bars.map((bar) => {
      const width = Math.max(1, Math.round(((WIDTH - LABEL_WIDTH - VALUE_WIDTH) * bar.value) / longest));
      const row = [
        `<text x="${LABEL_WIDTH - 8}" y="${y + 13}" text-anchor="end">${escapeText(bar.label)}</text>`,
        `<rect class="${bar.isOurs ? 'o' : 'p'}" x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR}" rx="2"/>`,
        `<text x="${LABEL_WIDTH + width + 6}" y="${y + 13}">${escapeText(format(bar.value))}</text>`,
      ].join('');
      y += ROW;
      return row;
    });
    return [heading, ...rows].join('\n');
  });
  const height = y + 8;
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`;
  return `${[open, `<style>${STYLE}</style>`, ...parts, '</svg>'].join('\n')}\n`;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
