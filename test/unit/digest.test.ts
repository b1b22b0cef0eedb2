// The worked example of the protocol's digest, with numbers that were computed by hand with sha256sum.
import { expect } from 'chai';
import { bucketOf, digestOf } from '../support/digest.js';

describe('digest', () => {
  const milk = { id: 'milk', seq: 17 };

  it('of nothing is zeros', () => {
    expect(digestOf([])).to.deep.equal(Array.from({ length: 256 }, () => '0'.repeat(16)));
  });

  it('takes a task into the bucket of its id', () => {
    expect(bucketOf('milk')).to.equal(136);
    expect(digestOf([milk])[136]).to.equal('7f98a40aa0a911e8');
    expect(digestOf([milk]).filter((sum) => !/^0+$/.test(sum))).to.have.length(1);
  });

  it('does not depend on the order, and a task taken twice is gone', () => {
    const bread = { id: 'bread', seq: 18 };
    expect(digestOf([milk, bread])).to.deep.equal(digestOf([bread, milk]));
    expect(digestOf([milk, bread, milk])).to.deep.equal(digestOf([bread]));
  });
});
