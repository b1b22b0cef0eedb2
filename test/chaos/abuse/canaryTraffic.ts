// Requests that carry secrets wherever a user or an operator may put them: in titles, descriptions, unknown fields, tokens and queries,
// in what is valid and in what is not.
import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { queryDatabase } from '../../support/postgres.js';
import { type Client, NoAnswer } from '../client.js';

export interface Canaries {
  title: string;
  description: string;
  unknownField: string;
  token: string;
  query: string;
}

export function makeCanaries(): Canaries {
  const make = (where: string) => `canary-${where}-${randomUUID()}`;
  return {
    title: make('title'),
    description: make('description'),
    unknownField: make('field'),
    token: make('token'),
    query: make('query'),
  };
}

/** The part of a title that makes a row be refused, see refuseAndQuote. */
export type Refusal = 'permanent' | 'unknown' | 'transient';
const SQLSTATES: Record<Refusal, string> = { permanent: '23514', unknown: 'P0001', transient: '40001' };
/** A transient fault that never ends would never settle. */
const TRANSIENT_TIMES = 3;

/** From now on tasks with such titles are refused, by a message that quotes all that was written. */
export async function refuseAndQuote(databaseUrl: string): Promise<void> {
  for (const [refusal, sqlState] of Object.entries(SQLSTATES)) {
    const times = refusal === 'transient' ? TRANSIENT_TIMES : Number.MAX_SAFE_INTEGER;
    await queryDatabase(databaseUrl, `CREATE SEQUENCE refuse_${refusal}_count`);
    await queryDatabase(
      databaseUrl,
      `CREATE FUNCTION refuse_${refusal}() RETURNS trigger LANGUAGE plpgsql AS $body$
       BEGIN
         IF nextval('refuse_${refusal}_count') <= ${times} THEN
           RAISE EXCEPTION 'refused: % %', NEW.title, NEW.description USING ERRCODE = '${sqlState}', DETAIL = NEW.title, HINT = NEW.title;
         END IF;
         RETURN NEW;
       END $body$`,
    );
    await queryDatabase(
      databaseUrl,
      `CREATE TRIGGER refuse_${refusal} BEFORE INSERT OR UPDATE ON tasks FOR EACH ROW
       WHEN (NEW.title LIKE '%refuse-${refusal}%') EXECUTE FUNCTION refuse_${refusal}()`,
    );
  }
}

/** One round of everything; what comes back does not matter, that something does not come back neither. */
export async function sendCanaries(client: Client, url: string, canaries: Canaries, round: number): Promise<void> {
  const { title, description, unknownField, token, query } = canaries;
  const authorization = { authorization: `Bearer ${token}` };
  const item = (name: string, extra = '') => ({
    client_id: 'canary-device',
    op_id: `${name}-${round}`,
    operation: 'create',
    data: { id: `${name}-${round}`, title: `${title} ${extra}`, description, note: unknownField, [unknownField]: 1 },
    [unknownField]: unknownField,
  });
  const refusals = Object.keys(SQLSTATES);
  const items = [item('plain'), ...refusals.map((refusal) => item(refusal, `refuse-${refusal}`))];
  const invalid = [
    { ...item('bad'), operation: title },
    { client_id: title },
    title,
    { data: { title: `${title}\0` } },
  ];
  const quietly = (sending: Promise<unknown>) =>
    sending.catch((error: unknown) => {
      if (!(error instanceof NoAnswer)) throw error;
    });
  const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    quietly(client.send(method, `${url}${path}`, body, { ...authorization, ...headers }));
  await Promise.all([
    send('POST', '/api/sync/batch', { items }, { prefer: 'wait=1' }),
    send('POST', '/api/sync/batch', { items: invalid, [unknownField]: title }),
    send('POST', '/api/sync/batch', title, { 'content-type': 'application/json' }),
    send('POST', '/api/tasks', { title, description, [unknownField]: unknownField }),
    ...refusals.map((refusal) => send('POST', '/api/tasks', { title: `${title} refuse-${refusal}`, description })),
    send('PATCH', `/api/tasks/plain-${round}`, { title: `${title} again`, completed: title }),
    send('GET', `/api/tasks?q=${query}&cursor=${query}`),
    send('GET', `/api/sync/changes?cursor=${query}`, undefined, {
      'if-match': query,
      cookie: query,
      'last-event-id': query,
    }),
    send('GET', '/admin/queues'),
    send('GET', '/admin/queues', undefined, { authorization: `Bearer wrong-${token}` }),
    send('GET', '/metrics', undefined, { authorization: `Basic ${Buffer.from(`admin:${token}`).toString('base64')}` }),
    pushOverSocket(url, { type: 'push', ref: title, items: [item('socket')], [unknownField]: title }),
  ]);
}

/** Resolves when it is answered or the socket is closed. */
function pushOverSocket(url: string, message: object): Promise<void> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/api/sync/ws`);
    socket.on('open', () => {
      socket.send(JSON.stringify(message));
      socket.send(JSON.stringify(message).slice(0, -5));
    });
    socket.on('message', (data) => /"type":"(result|error)"/.test(String(data)) && socket.close());
    socket.on('error', () => socket.terminate());
    socket.on('close', () => resolve());
    setTimeout(() => socket.terminate(), 5_000).unref();
  });
}
