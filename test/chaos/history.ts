// The log of all operations, as their devices saw them: invoked, then ok, failed or unknown with each try, and what they were told. It
// is written to a file as it happens, and is one side of the check; the database is the other.
import { appendFileSync } from 'node:fs';
import type { SentItem } from '../support/oracle.js';

/**
 * - ok: answered with 2xx.
 * - failed: it cannot have been stored (no connection, or a 4xx).
 * - unknown: sent, but without a usable answer: it may have been stored.
 */
export type TryResult = 'ok' | 'failed' | 'unknown';

/** What the scenario wants to become of it: an item that is not valid is never stored; one that cannot be applied fails. */
export type Expectation = 'settled' | 'invalid' | 'failed';

export interface RecordedOperation {
  item: SentItem;
  expectation: Expectation;
  /** When it was first sent, in ms since 1970; undefined while it never was. */
  invokedAtMs?: number;
  tries: number;
  /** When a 2xx said first that it is stored. */
  acknowledgedAtMs?: number;
  /** When its device first knew its final status, and which. */
  answeredAtMs?: number;
  status?: string;
  /** Its device has forgotten it while nobody knew whether it was stored. */
  isAbandoned: boolean;
}

export type History = ReturnType<typeof createHistory>;

/** @param file gets a line of JSON for each event */
export function createHistory(file: string) {
  const operations = new Map<string, RecordedOperation>();
  const violations: string[] = [];
  let lines: string[] = [];
  const flush = () => {
    if (lines.length > 0) appendFileSync(file, `${lines.join('\n')}\n`);
    lines = [];
  };
  const write = (event: object) => {
    lines.push(JSON.stringify({ at: Date.now(), ...event }));
    if (lines.length >= 500) flush();
  };
  let resends = 0;

  return {
    operations: operations as ReadonlyMap<string, RecordedOperation>,
    /** What devices and streams saw that must not be, in words. */
    violations: violations as readonly string[],
    resends: () => resends,
    violate(what: string) {
      write({ event: 'violation', what });
      violations.push(what);
    },
    /** An edit that its device will send. */
    make(item: SentItem, expectation: Expectation = 'settled'): RecordedOperation {
      const operation: RecordedOperation = { item, expectation, tries: 0, isAbandoned: false };
      operations.set(keyOf(item.client_id, item.op_id), operation);
      return operation;
    },
    invoke(sent: readonly RecordedOperation[], url: string) {
      write({ event: 'invoke', url, operations: sent.map(({ item }) => item) });
      for (const operation of sent) {
        operation.invokedAtMs ??= Date.now();
        operation.tries += 1;
        if (operation.tries > 1) resends += 1;
      }
    },
    finish(sent: readonly RecordedOperation[], result: TryResult, detail: string) {
      write({ event: result, detail, op_ids: sent.map(({ item }) => item.op_id) });
    },
    abandon(dropped: readonly RecordedOperation[]) {
      write({ event: 'abandon', op_ids: dropped.map(({ item }) => item.op_id) });
      for (const operation of dropped) operation.isAbandoned = true;
    },
    /** A status from an answer; `pending` acknowledges. */
    tell(operation: RecordedOperation, status: string) {
      operation.acknowledgedAtMs ??= Date.now();
      if (status === 'pending') return;
      if (operation.status === undefined) write({ event: 'told', op_id: operation.item.op_id, status });
      operation.status ??= status;
      operation.answeredAtMs ??= Date.now();
    },
    write,
    flush,
  };
}

/** An operation's identity (I2) as one text. */
export const keyOf = (clientId: string, opId: string) => `${clientId}\0${opId}`;
