// What a person at the terminal reads once everything runs: what runs where, and why this queue. No password is ever in it.
import { reachableHost } from './ports.js';

export interface Summary {
  host: string;
  port: number;
  /** Undefined where Bull Board is switched off. */
  hasDashboard: boolean;
  database: string;
  queue: string;
  dataDir: string;
  logsFolder: string;
  startedInMs: number;
}

/** The banner, several lines; headings in bold where the terminal can. */
export function describeSummary(summary: Summary, bold: boolean): string {
  const url = baseUrl(summary.host, summary.port);
  const board = summary.hasDashboard ? `${url}/admin/queues` : 'off in production; set ADMIN_TOKEN to switch it on';
  const rows = [
    ['API', url],
    ['Bull Board', board],
    ['Database', summary.database],
    ['', 'a session in it: npm run db:psql; its address with the password: npm run db:url'],
    ['Queue', summary.queue],
    ['Logs', summary.logsFolder],
    ['Try it', `curl ${url}/`],
    ['Stop', `Ctrl-C; the data stays in ${summary.dataDir}`],
  ];
  const title = `Task Sync is running (ready in ${(summary.startedInMs / 1_000).toFixed(1)} s)`;
  const body = rows.map(([name = '', value]) => `  ${emphasise(name.padEnd(12), bold)}${value}`);
  return `\n${emphasise(title, bold)}\n\n${body.join('\n')}\n`;
}

/** The address that a person on this machine types. */
export function baseUrl(host: string, port: number): string {
  const reachable = reachableHost(host);
  const name = reachable === '127.0.0.1' ? 'localhost' : reachable;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}

/** A server's address without its user and password. */
export function describeAddress(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname === '/' ? '' : pathname}`;
}

function emphasise(text: string, bold: boolean): string {
  return bold ? `\u001b[1m${text}\u001b[22m` : text;
}
