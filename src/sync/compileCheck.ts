// A joi schema as a plain function: whether a value is valid, without saying why not. joi takes 10 us an operation because it can explain
// and convert; this takes 0.5 and stands in front of it. It is derived from the schema itself, so there is one definition; what it does not
// know stops the process at its start instead of being let through. A converter to JSON Schema and ajv would lose the custom rules.
import type Joi from 'joi';

export type Check = (value: unknown) => boolean;

/**
 * Derives the check of a schema that does not convert and allows unknown keys.
 * @throws an Error for a rule, flag or type that it does not know
 */
export function compileCheck(schema: Joi.Schema): Check {
  const description: unknown = schema.describe();
  const preferences = isRecord(description) ? description.preferences : undefined;
  if (!isRecord(preferences) || preferences.convert !== false || preferences.allowUnknown !== true) {
    throw new Error('only a schema with convert: false and allowUnknown: true can be compiled');
  }
  return compile(description);
}

const KNOWN = ['type', 'flags', 'allow', 'rules', 'keys', 'preferences'];

/** The order is joi's: presence, then values that are always allowed, then the type, then the rules. */
function compile(description: unknown): Check {
  if (!isRecord(description)) throw new Error('a joi schema without a description');
  requireKnown(Object.keys(description), KNOWN);
  const { type, rules = [], keys = {} } = description;
  const flags = isRecord(description.flags) ? description.flags : {};
  requireKnown(Object.keys(flags), ['presence', 'only']);
  const isRequired = flags.presence === 'required';
  const allowed = readAllowed(description.allow);
  if (flags.only === true) return (value) => (value === undefined ? !isRequired : allowed.has(value));
  const isOfType = typeCheck(type, keys);
  const checks = Array.isArray(rules) ? rules.map(ruleCheck) : [];
  return (value) => {
    if (value === undefined) return !isRequired;
    if (allowed.size > 0 && allowed.has(value)) return true;
    if (!isOfType(value)) return false;
    for (const check of checks) if (!check(value)) return false;
    return true;
  };
}

function readAllowed(allow: unknown): ReadonlySet<unknown> {
  const values: unknown[] = Array.isArray(allow) ? allow : [];
  if (values.some((value) => typeof value === 'object' && value !== null))
    throw new Error('allowed objects are not known');
  return new Set(values);
}

function typeCheck(type: unknown, keys: unknown): Check {
  switch (type) {
    case 'string':
      return (value) => typeof value === 'string' && value !== '';
    case 'boolean':
      return (value) => typeof value === 'boolean';
    case 'number':
      // What a double cannot hold exactly joi refuses too.
      return (value) => typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER;
    case 'object':
      return objectCheck(keys);
    default:
      throw new Error(`the joi type ${String(type)} is not known`);
  }
}

function objectCheck(keys: unknown): Check {
  const fields = Object.entries(isRecord(keys) ? keys : {}).map(([key, inner]) => ({ key, check: compile(inner) }));
  return (value) => {
    if (!isRecord(value)) return false;
    for (const { key, check } of fields) if (!check(value[key])) return false;
    return true;
  };
}

function ruleCheck(rule: unknown): Check {
  const { name, args } = isRecord(rule) ? rule : {};
  const { limit, regex, method } = isRecord(args) ? args : {};
  if (name === 'integer') return (value) => Number.isInteger(value);
  if (name === 'min' && typeof limit === 'number') return (value) => typeof value === 'number' && value >= limit;
  if (name === 'max' && typeof limit === 'number') return (value) => typeof value === 'string' && value.length <= limit;
  if (name === 'pattern') {
    const pattern = readRegex(regex);
    return (value) => typeof value === 'string' && pattern.test(value);
  }
  if (name === 'custom' && typeof method === 'function') {
    return (value) => Reflect.apply(method, undefined, [value, { error: () => REFUSED }]) !== REFUSED;
  }
  throw new Error(`the joi rule ${String(name)} is not known`);
}

const REFUSED = Symbol('refused');

/** joi describes a regular expression by its text. */
function readRegex(regex: unknown): RegExp {
  const [, source, flags] = /^\/(.*)\/(\w*)$/s.exec(String(regex)) ?? [];
  if (source === undefined) throw new Error(`the pattern ${String(regex)} cannot be read`);
  return new RegExp(source, flags);
}

function requireKnown(found: string[], known: string[]) {
  for (const name of found) if (!known.includes(name)) throw new Error(`${name} of a joi schema is not known`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
