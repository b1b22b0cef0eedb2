// What the documents say that the code knows better: the table of errors, the names of settings, links, and JSON that has to parse.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { environmentSchema } from '../../config/index.js';
import { ERROR_KINDS } from '../../src/errors.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

const documents = [
  'README.md',
  'CHANGELOG.md',
  'examples/README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** A document without its code blocks. */
const proseOf = (file: string) => read(file).replaceAll(/^```.*?^```$/gms, '');

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(file: string): string[] {
  return [...proseOf(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    return heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
  });
}

describe("the protocol's table of errors", () => {
  it('is that of the code: code, status, whether to try again, meaning and advice', () => {
    const rows = read('docs/protocol.md').matchAll(/^\| `\w+` *\| \d{3} *\|.*\|$/gm);
    const documented = [...rows].map(([row]) => {
      const [code = '', status, retry, title, advice] = row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim());
      return [code.replaceAll('`', ''), { status: Number(status), isRetryable: retry === 'yes', title, advice }];
    });
    expect(Object.fromEntries(documented)).to.deep.equal(ERROR_KINDS);
  });
});

for (const file of documents) {
  describe(file, () => {
    it('links to files and headings that exist', () => {
      const targets = [...proseOf(file).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
      for (const target of targets.filter((each) => !/^https?:/.test(each))) {
        const [path = '', anchor] = target.split('#');
        const linked = path === '' ? file : join(dirname(file), path);
        expect(existsSync(join(ROOT, linked)), target).to.equal(true);
        if (anchor !== undefined) expect(anchorsOf(linked), target).to.include(anchor);
      }
    });

    it('names settings that exist', () => {
      const known = Object.keys(environmentSchema.describe().keys);
      const prefixes = new Set(known.map((name) => name.split('_')[0]));
      const named = [...proseOf(file).matchAll(/`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`/g)].map(([, name = '']) => name);
      for (const name of named.filter((each) => prefixes.has(each.split('_')[0]))) expect(known).to.include(name);
    });

    it('shows JSON that parses', () => {
      for (const [, json = ''] of read(file).matchAll(/^```json\n(.*?)^```$/gms)) {
        expect(() => JSON.parse(json), json).not.to.throw();
      }
    });
  });
}
