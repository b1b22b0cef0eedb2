// The shape of examples/offline-day.json: what each device of a person sent on one day, in the order of sending.
// `sent_at` is the true time; `updated_at` and `client_timestamp` come from the device's own clock, which may be wrong.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export type Device = 'phone' | 'laptop' | 'tablet';
export type Operation = 'create' | 'update' | 'delete';

export interface RecordedItem {
  client_id: string;
  op_id: string;
  operation: Operation;
  /** `title` is unknown on purpose: one operation of the day carries something else than a string. */
  data: { id: string; title?: unknown; description?: string; completed?: boolean; updated_at: string };
}

export interface BatchRequest {
  client_timestamp: string;
  items: RecordedItem[];
}

export interface RecordedBatch {
  device: Device;
  sent_at: string;
  note: string;
  request: BatchRequest;
}

export interface Recording {
  about: string;
  seed: number;
  recorded_day: string;
  starts_at: string;
  ends_at: string;
  clock_errors_ms: Record<Device, number>;
  batches: RecordedBatch[];
}

/** Where the recording lies, seen from the compiled file below dist/scripts/demo. */
export const recordingPath = fileURLToPath(new URL('../../../examples/offline-day.json', import.meta.url));

/** Reads the committed recording. Throws when it is missing or not JSON. */
export function readRecording(path: string = recordingPath): Recording {
  const recording: Recording = JSON.parse(readFileSync(path, 'utf8'));
  return recording;
}

/** The recording as text, one operation a line: a person can read it and a diff shows single operations. */
export function formatRecording(recording: Recording): string {
  const { batches, ...head } = recording;
  const headLines = Object.entries(head).map(([name, value]) => `  "${name}": ${JSON.stringify(value)},`);
  return `${['{', ...headLines, '  "batches": [', batches.map(formatBatch).join(',\n'), '  ]', '}'].join('\n')}\n`;
}

function formatBatch(batch: RecordedBatch): string {
  const items = batch.request.items.map((item) => `          ${JSON.stringify(item)}`).join(',\n');
  return [
    '    {',
    `      "device": ${JSON.stringify(batch.device)},`,
    `      "sent_at": ${JSON.stringify(batch.sent_at)},`,
    `      "note": ${JSON.stringify(batch.note)},`,
    '      "request": {',
    `        "client_timestamp": ${JSON.stringify(batch.request.client_timestamp)},`,
    `        "items": [\n${items}\n        ]`,
    '      }',
    '    }',
  ].join('\n');
}
