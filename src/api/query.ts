// Query strings: each parameter is known, given once, and UTF-8, or the request is answered 400. A misspelt `cursor` that were ignored would
// be a bootstrap that nobody asked for. What a route knows are the keys of its joi schema.
import type Joi from 'joi';
import type { FieldError } from '../errors.js';
import { check, invalidRequest } from './request.js';

/** As much as is shown of what was sent. */
const SHOWN_CHARS = 64;
const SHOWN_ERRORS = 10;

/** The query of a request, converted and checked. @throws ApiError invalid_request */
export function readQuery<Shape>(request: { url?: string }, schema: Joi.ObjectSchema<Shape>): Shape {
  return check(schema, parseQuery(request.url ?? ''), { convert: true });
}

/** The parameters of a schema. */
export function namesOf(schema: Joi.ObjectSchema | undefined): ReadonlySet<string> {
  const description = schema?.describe() ?? {};
  return new Set(Object.keys('keys' in description ? Object(description.keys) : {}));
}

/** Holds the query of an address against the parameters that it may have. @throws ApiError invalid_request */
export function requireKnown(url: string, names: ReadonlySet<string>): void {
  // Most requests have none.
  if (!url.includes('?')) return;
  const wrong = Object.keys(parseQuery(url)).filter((name) => !names.has(name));
  if (wrong.length > 0) throw invalidRequest(wrong.slice(0, SHOWN_ERRORS).map((name) => unknownName(name, names)));
}

/** The parameters of an address, a plus sign being a space. @throws ApiError invalid_request */
function parseQuery(url: string): Record<string, string> {
  const at = url.indexOf('?');
  const found = new Map<string, string>();
  for (const part of at === -1 ? [] : url.slice(at + 1).split('&')) {
    if (part === '') continue;
    const [rawName = '', ...rest] = part.split('=');
    const name = decode(rawName, rawName);
    const value = decode(rest.join('='), rawName);
    if (found.has(name)) throw invalidRequest([{ field: name, message: `${show(name)} may be given once` }]);
    found.set(name, value);
  }
  return Object.fromEntries(found);
}

function decode(text: string, rawName: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    const message = `the query parameter ${show(rawName)} is not percent-encoded UTF-8`;
    throw invalidRequest([{ field: rawName, message }]);
  }
}

function unknownName(name: string, names: ReadonlySet<string>): FieldError {
  const nearest = nearestOf(name, names);
  const known = names.size === 0 ? 'this address takes none' : `there are ${[...names].join(', ')}`;
  const hint = nearest === undefined ? known : `did you mean ${show(nearest)}?`;
  return { field: name, message: `there is no query parameter ${show(name)} here; ${hint}` };
}

const show = (name: string) => JSON.stringify(name.slice(0, SHOWN_CHARS));

/** The name that was probably meant: it differs in case or signs, contains the other or is contained in it, or by a few letters. */
function nearestOf(name: string, names: ReadonlySet<string>): string | undefined {
  const sent = plain(name);
  if (sent.length < 2 || sent.length > SHOWN_CHARS) return undefined;
  const ranked = [...names].map((known) => ({ known, away: awayFrom(sent, plain(known)) }));
  const [best] = ranked.sort((a, b) => a.away - b.away);
  return best !== undefined && best.away <= Math.max(1, sent.length / 3) ? best.known : undefined;
}

const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '');

function awayFrom(sent: string, known: string): number {
  if (sent === known) return 0;
  const isPart = Math.min(sent.length, known.length) > 3 && (known.includes(sent) || sent.includes(known));
  return isPart ? 0.5 : editDistance(sent, known);
}

/** Letters to be put in, left out or exchanged (Wagner and Fischer). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [line, letter] of [...from].entries()) {
    const above = row;
    row = [line + 1];
    for (const [index, other] of [...to].entries()) {
      const kept = (above[index] ?? 0) + (letter === other ? 0 : 1);
      row.push(Math.min(kept, (above[index + 1] ?? 0) + 1, (row[index] ?? 0) + 1));
    }
  }
  return row.at(-1) ?? 0;
}
