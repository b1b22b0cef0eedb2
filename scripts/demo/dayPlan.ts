// The plan of the recorded day: when each device is used, when it has a connection, and the scenes that must happen.
// Everything here is true time (UTC); a device's clock error is added when its operations are written down.
import type { Device } from './recording.js';

export const recordedDay = '2026-03-12';
export const dayStartsAt = at('11 19:00');
export const dayEndsAt = at('12 20:00');

const MINUTE_MS = 60_000;

/** How far each device's clock is ahead of the true time. Somebody set the tablet's by hand. */
export const clockErrorsMs: Record<Device, number> = { phone: 0, laptop: 0, tablet: 40 * MINUTE_MS };

/** A time in which a person uses one device. Without `everyMinutes` it is offline and sends once, at `sendAt`. */
export interface Stretch {
  device: Device;
  from: number;
  to: number;
  edits: number;
  /** Share of new tasks among the edits. */
  creating: number;
  note: string;
  everyMinutes?: number;
  sendAt?: number;
  /** The answer to `sendAt` is lost; the same batch is sent again at this time. */
  resendAt?: number;
}

/** What a scene does to its task. `brokenTitle` is the bug of the day: an object where a string belongs. */
export interface Write {
  create?: string;
  title?: string;
  description?: string;
  completed?: boolean;
  delete?: true;
  brokenTitle?: { text: string };
}

/** One planned edit of a task that chance leaves alone. */
export interface Scene {
  device: Device;
  at: number;
  task: string;
  write: Write;
}

/** Milliseconds since 1970 of "DD HH:MM" in March 2026. */
function at(text: string): number {
  return Date.parse(`2026-03-${text.replace(' ', 'T')}:00Z`);
}

const stretch = (device: Device, from: string, to: string, edits: number, rest: Partial<Stretch>): Stretch => ({
  ...{ device, from: at(from), to: at(to), edits, creating: 0.12, note: '' },
  ...rest,
});

const scene = (device: Device, when: string, task: string, write: Write): Scene => ({
  ...{ device, at: at(when), task, write },
});

export const stretches: readonly Stretch[] = [
  stretch('laptop', '11 19:00', '11 19:50', 34, {
    everyMinutes: 11,
    creating: 0.92,
    note: 'laptop: planning the week',
  }),
  stretch('phone', '11 20:10', '11 20:50', 12, { everyMinutes: 9, creating: 0.3, note: 'phone on the sofa' }),
  stretch('tablet', '11 21:00', '11 21:30', 7, { everyMinutes: 10, note: 'tablet in the kitchen' }),
  stretch('tablet', '11 22:10', '11 23:25', 24, {
    sendAt: at('12 07:12'),
    note: 'tablet finds the Wi-Fi after a night without it',
  }),
  stretch('phone', '11 22:40', '11 23:50', 12, { everyMinutes: 12, note: 'phone in bed' }),
  stretch('phone', '12 06:50', '12 07:25', 8, { everyMinutes: 8, note: 'phone at breakfast' }),
  stretch('phone', '12 08:08', '12 08:51', 25, {
    ...{ sendAt: at('12 08:54'), resendAt: at('12 08:56') },
    note: 'phone comes out of the underground',
  }),
  stretch('laptop', '12 09:05', '12 11:40', 28, { everyMinutes: 14, creating: 0.25, note: 'laptop at the office' }),
  stretch('laptop', '12 12:10', '12 14:25', 52, { sendAt: at('12 14:38'), note: 'laptop gets off the train' }),
  stretch('phone', '12 12:30', '12 14:20', 18, { everyMinutes: 17, note: 'phone on the train, a bar of signal' }),
  stretch('phone', '12 15:00', '12 17:00', 9, { everyMinutes: 20, note: 'phone between two meetings' }),
  stretch('phone', '12 17:22', '12 17:58', 14, {
    sendAt: at('12 19:06'),
    note: 'phone is charged again after its battery died in the underground',
  }),
  stretch('laptop', '12 18:10', '12 18:55', 13, { everyMinutes: 12, note: 'laptop at home' }),
  stretch('tablet', '12 18:30', '12 19:45', 13, { everyMinutes: 16, note: 'tablet on the sofa' }),
  stretch('phone', '12 19:10', '12 19:50', 5, { everyMinutes: 12, note: 'phone in the evening' }),
];

/** The small batch that a flaky office network makes the laptop send twice: the first one after this time. */
export const flakyNetwork = { device: 'laptop', after: at('12 11:20'), againAfterMs: 30_000 } as const;

export const scenes: readonly Scene[] = [
  scene('laptop', '11 19:03', 'milk', { create: 'Buy milk' }),
  scene('laptop', '11 19:06', 'dentist', { create: 'Book the dentist' }),
  scene('laptop', '11 19:09', 'tickets', { create: 'Print the concert tickets' }),
  scene('laptop', '11 19:14', 'boiler', { create: 'Call the landlord about the boiler' }),
  scene('laptop', '11 19:21', 'parcel', { create: 'Collect the parcel' }),
  scene('laptop', '11 19:27', 'slides', { create: 'Slides for Tuesday' }),
  scene('laptop', '11 19:33', 'gym', { create: 'Cancel the gym' }),
  // Overnight: by the tablet's own clock its edits (23:30 and 23:38) would be the later ones.
  scene('tablet', '11 22:50', 'dentist', { title: 'Book the dentist for Monday' }),
  scene('phone', '11 23:10', 'dentist', { title: 'Book the dentist for Thursday at 16:00' }),
  scene('tablet', '11 22:58', 'gym', { delete: true }),
  scene('phone', '11 23:20', 'gym', { title: 'Move to the cheaper gym plan' }),
  // A client with a bug, and its next version.
  scene('laptop', '12 09:41', 'passport', { brokenTitle: { text: 'Renew the passport' } }),
  scene('laptop', '12 10:05', 'passport', { create: 'Renew the passport' }),
  // On the train the laptop is offline while the phone sends now and then.
  scene('laptop', '12 12:52', 'milk', { title: 'Buy milk and bread' }),
  scene('phone', '12 13:20', 'milk', { title: 'Buy oat milk' }),
  scene('laptop', '12 12:31', 'slides', { description: 'Eight slides, the last one is the ask.' }),
  scene('phone', '12 13:05', 'slides', { completed: true }),
  scene('phone', '12 12:44', 'parcel', { delete: true }),
  scene('laptop', '12 13:37', 'parcel', { title: 'Collect the parcel at the kiosk, it is still there' }),
  // The phone's battery dies in the underground; the laptop edits the same tasks at home before it is back.
  scene('phone', '12 17:41', 'tickets', { delete: true }),
  scene('laptop', '12 18:25', 'tickets', { title: 'Print the concert tickets, two copies' }),
  scene('phone', '12 17:46', 'boiler', { description: 'He picks up between 17:00 and 18:00.' }),
  scene('laptop', '12 18:31', 'boiler', { delete: true }),
];
