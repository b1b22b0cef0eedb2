// Loaded into a process by `node --import`: its wall clock is off by what a file in the folder of the query says, named by the process's id, and
// follows it while it runs. The monotonic clock is not touched, as when somebody sets the time.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const LOOK_EVERY_MS = 50;

const folder = new URL(import.meta.url).searchParams.get('folder') ?? '.';
const RealDate = Date;
const realNow = RealDate.now.bind(RealDate);
let offsetMs = 0;

setInterval(() => {
  try {
    offsetMs = Number(readFileSync(join(folder, String(process.pid)), 'utf8')) || 0;
  } catch {
    // Not stepped yet.
  }
}, LOOK_EVERY_MS).unref();

RealDate.now = () => realNow() + offsetMs;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, given, newTarget) =>
    Reflect.construct(target, given.length === 0 ? [realNow() + offsetMs] : given, newTarget),
});
