// All devices of a scenario: they edit over a time, each at its own pace from its own seed, and come home at the end.
import { setTimeout as sleep } from 'node:timers/promises';
import type { SentItem } from '../support/oracle.js';
import { createRandom } from '../support/oracle.js';
import { type ChaosDevice, createDevice, type DeviceOptions } from './device.js';
import type { Expectation, History } from './history.js';
import type { ScenarioContext } from './scenario.js';
import type { Targets } from './targets.js';

export interface FleetOptions {
  devices: number;
  operations: number;
  durationMs: number;
  sharedTasks?: number;
  /** The clock of each device, by its number. */
  skewOf?: (index: number) => { skewMs: number; tellsClock: boolean };
  /** 0.02 if it is not given. */
  abandonRate?: number;
  requestTimeoutMs?: number;
  spoil?: DeviceOptions['spoil'];
  /** Most edits that a device makes before it goes online. */
  editsAtOnce?: number;
}

/** One answered request. */
export interface SeenAnswer {
  status: number;
  /** When it was answered, in ms since 1970. */
  at: number;
  tookMs: number;
  retryAfter: string | undefined;
}

const REQUEST_TIMEOUT_MS = 15_000;
const EDITS_AT_ONCE = 16;

export type Fleet = ReturnType<typeof createFleet>;

/** One more device, which has made its edits already and only sends them. */
type Adopt = (name: string, items: readonly SentItem[], expectationOf: (item: SentItem) => Expectation) => void;

export function createFleet(context: ScenarioContext, targets: Targets, history: History, options: FleetOptions) {
  const answers: SeenAnswer[] = [];
  const lost: string[] = [];
  const makeDevice = (name: string, index: number) =>
    createDevice({
      name,
      random: createRandom(context.seed * 1_009 + index),
      targets,
      history,
      sharedTasks: options.sharedTasks ?? 60,
      ...(options.skewOf?.(index) ?? { skewMs: 0, tellsClock: index % 2 === 0 }),
      abandonRate: options.abandonRate ?? 0.02,
      requestTimeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
      ...(options.spoil === undefined ? {} : { spoil: options.spoil }),
      onAccepted: (tookMs) => void context.measures.acceptMs.push(tookMs),
      onLost: (what) => void lost.push(what),
      onAnswer: (answer) => void answers.push(answer),
    });
  const devices = Array.from({ length: options.devices }, (_, index) => makeDevice(`device-${index}`, index));
  const returning: Promise<void>[] = [];
  const quota = Math.ceil(options.operations / options.devices);

  /** Edits spread over the time; online after each few of them, unless it was told to wait. */
  async function live(device: ChaosDevice, index: number) {
    const random = createRandom(context.seed * 7_919 + index);
    const startedAt = Date.now();
    for (let made = 0; made < quota && !context.signal.aborted; ) {
      const count = Math.min(quota - made, 1 + Math.floor(random() * (options.editsAtOnce ?? EDITS_AT_ONCE)));
      const due = startedAt + ((made + random() * count) / quota) * options.durationMs;
      await pauseUntil(due, context.signal);
      device.makeEdits(count);
      made += count;
      if (Date.now() >= device.notBefore()) await device.exchange();
    }
    await pauseUntil(startedAt + options.durationMs, context.signal);
  }

  async function comeHome(device: ChaosDevice, until: number) {
    while (device.outboxSize() > 0) {
      if (Date.now() > until) throw new Error(`${device.name} still has ${device.outboxSize()} unanswered operations`);
      await pauseUntil(device.notBefore(), context.signal);
      await device.flush();
    }
  }

  const adopt: Adopt = (name, items, expectationOf) => {
    const device = makeDevice(name, devices.length);
    for (const item of items) device.take(item, expectationOf(item));
    devices.push(device);
    // Once now; what is not answered then is sent again when all come home.
    void device.flush();
  };

  return {
    adopt,
    devices: devices as readonly ChaosDevice[],
    /** Every answered request, in order. */
    answers: answers as readonly SeenAnswer[],
    /** Requests that were sent and not answered. */
    lost: lost as readonly string[],
    /** All devices lose their network; their users go on editing. */
    hold() {
      for (const device of devices) device.holdUntil(Number.POSITIVE_INFINITY);
    },
    /** All are back within this time, each at a moment of its own, with all that they have. */
    release(withinMs: number) {
      const random = createRandom(context.seed * 17);
      for (const device of devices) {
        const at = Date.now() + withinMs * random();
        device.holdUntil(at);
        returning.push(pauseUntil(at, context.signal).then(() => device.exchange()));
      }
    },
    /** Resolves when all have made their edits and the time is over. */
    live: async () => {
      await Promise.all(devices.map(live));
      await Promise.all(returning);
    },
    /** Sends what is left until all is answered. @throws when it is not within `limitMs` */
    async comeHome(limitMs: number) {
      const until = Date.now() + limitMs;
      await Promise.all(devices.map((device) => comeHome(device, until)));
    },
    /** Every device reads the feed to its end. */
    async pullToEnd() {
      for (const device of devices) {
        for (let tries = 0; !(await device.pullToEnd()); tries += 1) {
          if (tries > 20) throw new Error(`${device.name} cannot read the feed to its end`);
          await pauseUntil(device.notBefore(), context.signal);
        }
      }
    },
    close() {
      for (const device of devices) device.close();
    },
  };
}

/** @throws what the signal was aborted with */
export async function pauseUntil(at: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const waitMs = at - Date.now();
  if (waitMs > 0) await sleep(waitMs, undefined, { signal });
}
