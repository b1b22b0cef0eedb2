// Makes a recorded batch ready to be sent now. Pure.
// All edits move by one distance, so that the recorded day ends when the run starts and every order stays as it was.
// `client_timestamp` is different: it is the device's clock at the moment of sending, so it is the present plus the error
// that the clock had in the recording. Moved like the edits, it would tell the server of a clock that is hours behind.
// Ids are mapped with the run's salt: each run is a new person, and a second run shows the same numbers. They follow from the tag that its
// client_ids end with, so that what a run made can be found again.
import { v5 } from 'uuid';
import type { BatchRequest, Device, RecordedBatch, Recording } from './recording.js';

/** What the ids of all runs are made in. */
const DEMO_SPACE = 'c9c5b8a0-8f3a-4a0e-9c1b-6f6d0b0f5d11';
const CLIENT_ID = /^(?:phone|laptop|tablet)-([0-9a-f]{8})$/;

export interface Run {
  /** A UUID; its first eight digits are the run's tag, and the same tag gives the same ids. */
  salt: string;
  /** What is added to every recorded edit time. */
  shiftMs: number;
}

/** A run in which the recorded day ends at `nowMs`. */
export function createRun(recording: Recording, salt: string, nowMs: number): Run {
  return { salt, shiftMs: nowMs - Date.parse(recording.ends_at) };
}

/** The batch as its device sends it at `nowMs`. */
export function prepareBatch(batch: RecordedBatch, run: Run, nowMs: number): BatchRequest {
  const space = idSpaceOf(run.salt.slice(0, 8));
  const clockErrorMs = Date.parse(batch.request.client_timestamp) - Date.parse(batch.sent_at);
  const items = batch.request.items.map((item) => ({
    ...item,
    client_id: clientIdOf(batch.device, run),
    op_id: v5(item.op_id, space),
    data: {
      ...item.data,
      id: v5(item.data.id, space),
      updated_at: toIso(Date.parse(item.data.updated_at) + run.shiftMs),
    },
  }));
  return { client_timestamp: toIso(nowMs + clockErrorMs), items };
}

/** The client_id of a device in this run. One ending for all devices keeps their order, which breaks ties of time. */
export function clientIdOf(device: Device, run: Run): string {
  return `${device}-${run.salt.slice(0, 8)}`;
}

/** The tag of the run that a client_id belongs to; undefined for what is no demo's. */
export function tagOf(clientId: string): string | undefined {
  return clientId.match(CLIENT_ID)?.[1];
}

/** The UUID in which the ids of a run are made. */
export function idSpaceOf(tag: string): string {
  return v5(tag, DEMO_SPACE);
}

/** The device behind a client_id of this run; undefined for anybody else's. */
export function deviceOf(clientId: string, run: Run): Device | undefined {
  const devices: Device[] = ['phone', 'laptop', 'tablet'];
  return devices.find((device) => clientIdOf(device, run) === clientId);
}

const toIso = (ms: number) => new Date(ms).toISOString();
