// Relative references (RFC 3986) from one address to another, which are right under any prefix that a proxy takes away.
import { expect } from 'chai';
import { relativeReference } from '../../src/api/request.js';

const CASES: [from: string, to: string, reference: string][] = [
  ['/api/sync/batch', '/api/sync/batches/7', 'batches/7'],
  ['/api/sync/batch/', '/api/sync/batches/7', '../batches/7'],
  ['/api/sync/batches/7', '/api/sync/batches/7', '7'],
  ['/api/sync/batches/7/', '/api/sync/batches/7', '../7'],
  ['/api/tasks', '/api/tasks/milk', 'tasks/milk'],
  ['/api/tasks/', '/api/tasks/milk', 'milk'],
  ['/api/tasks', '/api/tasks/a%2Fb%3Ac', 'tasks/a%2Fb%3Ac'],
  ['/api/sync/operations/4/reapply', '/api/sync/operations/9', '../9'],
  ['/API/Sync/batch', '/api/sync/batches/7', '../../api/sync/batches/7'],
];

describe('a reference to another address', () => {
  for (const [from, to, reference] of CASES) {
    it(`from ${from} to ${to} is ${reference}, with and without a prefix`, () => {
      expect(relativeReference(from, to)).to.equal(reference);
      for (const prefix of ['', '/sync', '/a/b']) {
        const base = `https://example.com${prefix}${from}?x=1`;
        expect(new URL(reference, base).href).to.equal(`https://example.com${prefix}${to}`);
      }
    });
  }
});
