// The name of an installation: one for all processes on a database, also after a failover, and another one for any other database (I12).
import { expect } from 'chai';
import { createQueueHome, installationOf } from '../../src/queue/installation.js';

const UUID = '0b7e2f5e-96d5-4d59-9d4a-1f6d6f1c0a11';
const BEFORE = `7452367481111111111-00000001-16384-16390-${UUID}`;

describe('the name of an installation', () => {
  const others: Record<string, [incarnation: string, isSame: boolean]> = {
    'a failover': [BEFORE.replace('-00000001-', '-00000002-'), true],
    'another cluster': [BEFORE.replace('7452367481111111111', '7452367481111111112'), false],
    'another database of the cluster': [BEFORE.replace('-16384-', '-16385-'), false],
    'a dump that was restored into the same database': [BEFORE.replace('-16390-', '-17777-'), false],
    'a copy of the files that an operator gave another identity': [BEFORE.replace(/1$/, '2'), false],
  };
  for (const [what, [incarnation, isSame]] of Object.entries(others)) {
    it(`is ${isSame ? 'the same' : 'another one'} for ${what}`, () => {
      expect(installationOf(incarnation) === installationOf(BEFORE)).to.equal(isSame);
    });
  }

  it('is short, and has no sign that means something in a key or channel of Redis', () => {
    expect(installationOf(BEFORE)).to.match(/^[0-9a-f]{16}$/);
  });

  it('of a queue in Redis moves with the database, and stays after a failover; one in PostgreSQL is opened anew after that as well', () => {
    for (const [backend, moves] of [
      ['redis', 1],
      ['postgres', 2],
    ] as const) {
      let change = (_incarnation: string) => {};
      const onChange = (listener: typeof change) => {
        change = listener;
        return () => undefined;
      };
      const home = createQueueHome({ current: () => BEFORE, onChange }, backend);
      let moved = 0;
      const stop = home.onMove(() => {
        moved += 1;
      });
      change(BEFORE.replace('-00000001-', '-00000002-'));
      expect(home.installation()).to.equal(installationOf(BEFORE));
      const restored = BEFORE.replace('-16390-', '-17777-');
      change(restored);
      expect(home.installation()).to.equal(installationOf(restored));
      expect(moved, backend).to.equal(moves);
      stop();
      change(BEFORE);
      expect(moved).to.equal(moves);
    }
  });
});
