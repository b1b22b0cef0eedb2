// .env.example and the README's table list exactly the variables of the configuration's schema, with its defaults.
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { environmentSchema, loadConfig } from '../../config/index.js';

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

/** Every variable of the schema with its default as text; undefined where it has none. */
function schemaDefaults(): Map<string, string | undefined> {
  const keys: Record<string, { flags?: { default?: unknown } }> = environmentSchema.describe().keys;
  return new Map(
    Object.entries(keys).map(([name, { flags }]) => {
      return [name, flags?.default === undefined ? undefined : String(flags.default)];
    }),
  );
}

interface Line {
  name: string;
  value: string;
  isSet: boolean;
  /** The comment above it. */
  explanation: string;
}

/** The assignments of .env.example; one that is commented out has nothing but its name between the hash and the equals sign. */
function readExample(): Line[] {
  const lines = read('.env.example').split('\n');
  return lines.flatMap((line, index) => {
    const [, hash, name, value] = /^(# )?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    return [{ name, value, isSet: hash === undefined, explanation: lines[index - 1] ?? '' }];
  });
}

/** The rows of the README's configuration table: name to default. */
function readTable(): Map<string, string | undefined> {
  const rows = read('README.md').matchAll(/^\| `([A-Z][A-Z0-9_]*)` *\| ([^|]*) \| [^|]+ \|$/gm);
  return new Map([...rows].map(([, name = '', value = '']) => [name, /^`(.*)`$/.exec(value.trim())?.[1]]));
}

describe('.env.example', () => {
  const lines = readExample();

  it('sets each variable that has a default to it, and shows each other one commented out', () => {
    const shown = new Map(lines.map(({ name, value, isSet }) => [name, isSet ? value : undefined]));
    expect(shown).to.deep.equal(schemaDefaults());
  });

  it('names each variable once, under a line that explains it', () => {
    expect(lines.map(({ name }) => name)).to.have.length(new Set(lines.map(({ name }) => name)).size);
    for (const { name, explanation } of lines) expect(explanation, name).to.match(/^# \S.{10,}/);
  });

  it('changes nothing when it is used as it is', () => {
    const set = lines.filter(({ isSet }) => isSet).map(({ name, value }) => [name, value]);
    expect(loadConfig(Object.fromEntries(set))).to.deep.equal(loadConfig({}));
  });

  it('has examples that are accepted', () => {
    const all = Object.fromEntries(lines.map(({ name, value }) => [name, value]));
    expect(loadConfig(all).database.url).to.equal(all.DATABASE_URL);
  });
});

describe("the README's configuration table", () => {
  it('lists each variable with its default', () => {
    expect(readTable()).to.deep.equal(schemaDefaults());
  });
});
