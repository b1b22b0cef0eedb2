// How a process is asked to end: by a signal, or because the npm that ran it is gone. npm hands on SIGTERM and SIGINT, but nothing when the
// terminal closes (SIGHUP) or when it is killed; its command would go on with nobody to stop it.
import { isCommandOfNpm } from '../config/npmScript.js';

const PARENT_EVERY_MS = 250;

/** Calls `stop` for each request to end, with its reason: a signal comes twice where a terminal and npm both send it. */
export function onStopRequest(stop: (reason: string) => void): void {
  const request = (reason: string) => {
    // A closed terminal: there is nobody left to tell, and stopping in order goes on.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
    stop(reason);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => request(signal));
  if (!isCommandOfNpm()) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    request('npm, which ran this, is gone');
  }, PARENT_EVERY_MS);
  timer.unref();
}
