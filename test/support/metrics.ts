// Reading what a process tells Prometheus.
import { expect } from 'chai';

export interface MetricSample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** Scrapes; fails unless the answer is 200. */
export async function scrape(url: string, headers: Record<string, string> = {}): Promise<MetricSample[]> {
  const response = await fetch(`${url}/metrics`, { headers: { connection: 'close', ...headers } });
  const text = await response.text();
  expect(response.status, text.slice(0, 500)).to.equal(200);
  expect(response.headers.get('content-type')).to.match(/^text\/plain; version=0\.0\.4/);
  return parseMetrics(text);
}

/** The samples of the text format. */
export function parseMetrics(text: string): MetricSample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) return [];
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', text = '']) => [key, text]);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

/** The value of the one sample of this name and these labels; undefined if there is none. */
export function metricValue(samples: MetricSample[], name: string, labels: Record<string, string> = {}) {
  const matches = (each: MetricSample) =>
    each.name === name && Object.entries(labels).every(([key, value]) => each.labels[key] === value);
  const found = samples.filter(matches);
  expect(found, `one sample ${name}`).to.have.length.at.most(1);
  return found[0]?.value;
}
