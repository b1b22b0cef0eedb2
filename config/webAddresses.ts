// Settings that name web addresses: origins of pages (CORS_ORIGIN) and hosts (ALLOWED_HOSTS). Each entry becomes what a browser would
// send, letter for letter; what no browser sends would never match and is refused with a sentence.
import { domainToASCII } from 'node:url';
import Joi from 'joi';

/** Schemes of which the URL standard makes an origin, but of which no page comes. */
const NO_PAGES = /^(?:wss?|ftp):/;
const EXTENSION_OR_APP = /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._~-]*(?::\d+)?$/;

/** A list like `https://app.example.com,capacitor://localhost`, or `*`; the value is an array of origins. */
export const originList = Joi.string()
  .custom((text: string, helpers) => readList(text, readOrigin, helpers))
  .messages({
    entry: '{{#label}} must be * or origins like https://app.example.com, separated by commas: {{#entry}} {{#why}}',
  });

/** A list like `sync.example.com,.example.org,192.0.2.7`, or `*`; the value is an array of hosts as in a Host header, without port. */
export const hostList = Joi.string()
  .custom((text: string, helpers) => readList(text, readHost, helpers))
  .messages({
    entry: '{{#label}} must be * or hosts like sync.example.com, separated by commas: {{#entry}} {{#why}}',
  });

/** An entry as a browser would send it, or in words why it never would. */
type Reading = { value: string } | { why: string };

function readList(text: string, read: (entry: string) => Reading, helpers: Joi.CustomHelpers) {
  const entries = text.split(',').map((entry) => entry.trim());
  const values = new Set<string>();
  for (const entry of entries.filter((each) => each !== '')) {
    const reading = entry === '*' && entries.length > 1 ? { why: 'stands for all and goes alone' } : read(entry);
    if ('why' in reading) return helpers.error('entry', { entry, why: reading.why });
    values.add(reading.value);
  }
  return values.size > 0 ? [...values] : helpers.error('entry', { entry: text, why: 'names nothing' });
}

/** The serialisation of an origin in the HTML standard: scheme, host, and a port that is not the scheme's own. */
function readOrigin(entry: string): Reading {
  if (entry === '*' || entry === 'null') return { value: entry };
  const [, scheme, place = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(entry) ?? [];
  if (scheme === undefined) return { why: 'does not begin with a scheme like https://' };
  if (entry.includes('*')) return { why: 'has a *, which stands only for all origins; list each one' };
  const authority = place.replace(/\/$/, '');
  if (/[/?#@\\]/.test(authority)) {
    return { why: 'has more than scheme, host and port, which is all that browsers send' };
  }
  const origin = `${scheme}://${authority}`.toLowerCase();
  if (NO_PAGES.test(origin)) return { why: 'is not where pages come from; for a WebSocket as well the page counts' };
  const isKnown = /^https?:/.test(origin) ? URL.canParse(origin) : EXTENSION_OR_APP.test(origin);
  if (!isKnown) return { why: 'is not an origin' };
  return { value: /^https?:/.test(origin) ? new URL(origin).origin : origin };
}

/** A name, a name with a dot in front for it and all below it, or an IP address. */
function readHost(entry: string): Reading {
  if (entry === '*') return { value: entry };
  if (entry.startsWith('*.')) return { why: `is written ${entry.slice(1)} here` };
  if (entry.includes('/')) return { why: 'has a scheme or a path; give the host alone' };
  const [, dot = '', name = ''] = /^(\.?)\[?(.+?)\]?\.?$/.exec(entry) ?? [];
  if (URL.canParse(`http://[${name}]`)) return { value: new URL(`http://[${name}]`).hostname.slice(1, -1) };
  if (name.includes(':')) return { why: 'has a port; a host is served on every port' };
  const ascii = domainToASCII(name);
  return /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(ascii) ? { value: dot + ascii } : { why: 'is not a host' };
}
