// Plays the plan of the day with seeded chance and writes down what each device would send.
// A device edits what it knew at its last contact with the server, which is what makes real conflicts; what it learns
// there is a plain "the later edit counts", enough to know which tasks it sees. The real rules are the server's.
import * as plan from './dayPlan.js';
import {
  chooseChange,
  chooseCreate,
  chooseTask,
  type Edit,
  type KnownTask,
  learnEdit,
  planWrite,
  toItem,
} from './deviceEdits.js';
import { createRandom, type Random } from './random.js';
import type { Device, RecordedBatch, RecordedItem, Recording } from './recording.js';
import { taskTexts } from './taskTexts.js';

const MINUTE_MS = 60_000;

type Event = { device: Device; at: number } & (
  | { kind: 'edit'; creating: number }
  | { kind: 'scene'; task: string; write: plan.Write }
  | { kind: 'send'; note: string; answerLost: boolean }
  | { kind: 'resend'; note: string }
);

interface DeviceState {
  known: Map<string, KnownTask>;
  unsent: { edit: Edit; item: RecordedItem }[];
  lastSent: RecordedItem[];
}

interface World {
  random: Random;
  server: Map<string, KnownTask>;
  devices: Record<Device, DeviceState>;
  unusedTexts: (typeof taskTexts)[number][];
  sceneIds: Map<string, string>;
  flakyAnswers: number;
  batches: RecordedBatch[];
}

/** The whole recorded day. The same seed gives the same recording, byte for byte. */
export function simulateDay(seed: number): Recording {
  const random = createRandom(seed);
  const newDevice = (): DeviceState => ({ known: new Map(), unsent: [], lastSent: [] });
  const world: World = {
    random,
    server: new Map(),
    devices: { phone: newDevice(), laptop: newDevice(), tablet: newDevice() },
    unusedTexts: [...taskTexts],
    sceneIds: new Map(),
    flakyAnswers: 1,
    batches: [],
  };
  for (const event of planEvents(random)) play(world, event);
  return {
    about: 'One day of one person with three devices. Made by `npm run demo:record`, replayed by `npm run demo`.',
    seed,
    recorded_day: plan.recordedDay,
    starts_at: toIso(plan.dayStartsAt),
    ends_at: toIso(plan.dayEndsAt),
    clock_errors_ms: plan.clockErrorsMs,
    batches: world.batches,
  };
}

/** Everything that happens, in the order of true time. */
function planEvents(random: Random): Event[] {
  const scenes = plan.scenes.map((scene): Event => ({ kind: 'scene', ...scene, at: scene.at + seconds(random) }));
  const events = [...scenes, ...plan.stretches.flatMap((stretch) => planStretch(random, stretch))];
  return events.sort((left, right) => left.at - right.at);
}

function planStretch(random: Random, stretch: plan.Stretch): Event[] {
  const { device, from, to, creating, note } = stretch;
  const edits = Array.from({ length: stretch.edits }, (): Event => {
    return { kind: 'edit', device, creating, at: random.between(from, to) };
  });
  const send = (at: number): Event => ({ kind: 'send', device, at, note, answerLost: stretch.resendAt !== undefined });
  if (stretch.sendAt !== undefined) {
    const resend: Event[] =
      stretch.resendAt === undefined
        ? []
        : [{ kind: 'resend', device, at: stretch.resendAt, note: `${device} got no answer and sends the same again` }];
    return [...edits, send(stretch.sendAt), ...resend];
  }
  const every = (stretch.everyMinutes ?? 10) * MINUTE_MS;
  const contacts = Array.from({ length: Math.ceil((to - from) / every) }, (_, index) => from + index * every);
  return [...edits, ...contacts.map((at) => send(at + seconds(random))), send(to + MINUTE_MS + seconds(random))];
}

function play(world: World, event: Event): void {
  if (event.kind === 'edit') playEdit(world, event);
  else if (event.kind === 'scene') playScene(world, event);
  else if (event.kind === 'send') playSend(world, event);
  else record(world, event, world.devices[event.device].lastSent);
}

function playEdit(world: World, event: Event & { kind: 'edit' }): void {
  const { random } = world;
  const task =
    random.next() < event.creating ? undefined : chooseTask(random, world.devices[event.device].known.values());
  const text = task?.text;
  if (task && text) {
    keep(world, event, { taskId: task.id, at: event.at, ...chooseChange(random, task, text) });
    return;
  }
  const [fresh] = world.unusedTexts.splice(random.between(0, world.unusedTexts.length), 1);
  if (fresh) keep(world, event, { taskId: random.uuid(), at: event.at, ...chooseCreate(random, fresh) });
}

function playScene(world: World, event: Event & { kind: 'scene' }): void {
  const taskId = world.sceneIds.get(event.task) ?? world.random.uuid();
  world.sceneIds.set(event.task, taskId);
  keep(world, event, { taskId, at: event.at, ...planWrite(event.write) });
}

/** An edit counts on its own device at once, and waits there for the next contact. */
function keep(world: World, { device }: Event, edit: Edit): void {
  const state = world.devices[device];
  learnEdit(state.known, edit);
  state.unsent.push({ edit, item: toItem(device, world.random.uuid(), edit) });
}

function playSend(world: World, event: Event & { kind: 'send' }): void {
  const state = world.devices[event.device];
  for (const { edit } of state.unsent) learnEdit(world.server, edit);
  state.known = new Map(world.server);
  if (state.unsent.length === 0) return;
  state.lastSent = state.unsent.map(({ item }) => item);
  state.unsent = [];
  const { device, after, againAfterMs } = plan.flakyNetwork;
  const isFlaky = device === event.device && event.at > after && world.flakyAnswers-- > 0;
  record(
    world,
    { ...event, note: event.answerLost || isFlaky ? `${event.note}, the answer is lost` : event.note },
    state.lastSent,
  );
  if (isFlaky)
    record(world, { ...event, at: event.at + againAfterMs, note: `${device} sends the same again` }, state.lastSent);
}

function record(world: World, event: { device: Device; at: number; note: string }, items: RecordedItem[]): void {
  const { device, at, note } = event;
  const request = { client_timestamp: toIso(at + plan.clockErrorsMs[device]), items };
  world.batches.push({ device, sent_at: toIso(at), note, request });
}

const seconds = (random: Random) => random.between(1_000, 40_000);
const toIso = (at: number) => new Date(at).toISOString();
