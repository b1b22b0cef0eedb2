// Who may see what is for operators, and how wrong tokens are limited: for each address, in bounded memory, and never for anybody else (I8).
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { expect } from 'chai';
import { createAdminAccess } from '../../src/adminAccess.js';
import { clientAddress, networkOf } from '../../src/clientAddress.js';

const TOKEN = 'a-token-of-more-than-16-characters';

function requestFrom(address: string, headers: Record<string, string> = {}): IncomingMessage {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: address });
  const request = new IncomingMessage(socket);
  Object.assign(request.headers, headers);
  return request;
}

describe('wrong admin tokens', () => {
  let nowMs = 0;
  const access = (trustedProxies = 0) =>
    createAdminAccess({ adminToken: TOKEN, isProduction: true, trustedProxies }, () => nowMs);
  const ask = (
    refuse: ReturnType<typeof access>,
    address: string,
    token?: string,
    headers: Record<string, string> = {},
  ) =>
    refuse(
      requestFrom(address, { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }),
      '/metrics',
    )?.code;
  const sendWrong = (refuse: ReturnType<typeof access>, address: string, count: number, headers = {}) => {
    for (let n = 0; n < count; n += 1) ask(refuse, address, `wrong ${n}`, headers);
  };

  it('are 401 up to 25 at once, then 429 whatever is sent, then one a second', () => {
    const refuse = access();
    sendWrong(refuse, '192.0.2.1', 24);
    expect(ask(refuse, '192.0.2.1', 'wrong')).to.equal('unauthorized');
    expect(ask(refuse, '192.0.2.1', 'wrong')).to.equal('too_many_attempts');
    expect(ask(refuse, '192.0.2.1', TOKEN), 'a guess that is right').to.equal('too_many_attempts');
    nowMs += 1_000;
    expect(ask(refuse, '192.0.2.1', 'wrong')).to.equal('unauthorized');
    expect(ask(refuse, '192.0.2.1', 'wrong')).to.equal('too_many_attempts');
    nowMs += 1_000;
    expect(ask(refuse, '192.0.2.1', TOKEN)).to.equal(undefined);
  });

  it('of one address are nothing to another; nor are right ones and requests without any', () => {
    const refuse = access();
    sendWrong(refuse, '192.0.2.1', 100);
    for (let n = 0; n < 100; n += 1) {
      expect(ask(refuse, '192.0.2.2', TOKEN)).to.equal(undefined);
      expect(ask(refuse, '192.0.2.3')).to.equal('unauthorized');
    }
  });

  it('of a scraper with an old token never shut out who shares its address', () => {
    const refuse = access();
    for (let n = 0; n < 1_000; n += 1) {
      nowMs += 5_000;
      ask(refuse, '192.0.2.1', 'the old token');
      expect(ask(refuse, '192.0.2.1', TOKEN)).to.equal(undefined);
    }
  });

  it('from many addresses of one IPv6 network count together', () => {
    const refuse = access();
    for (let n = 0; n < 100; n += 1) ask(refuse, `2001:db8:0:1::${n.toString(16)}`, 'wrong');
    expect(ask(refuse, '2001:db8:0:1:ffff::1', 'wrong')).to.equal('too_many_attempts');
    expect(ask(refuse, '2001:db8:0:2::1', TOKEN)).to.equal(undefined);
  });

  it('are remembered for the 1,000 addresses that were wrong last', () => {
    const refuse = access();
    sendWrong(refuse, '192.0.2.1', 100);
    for (let n = 0; n < 999; n += 1) ask(refuse, `10.0.${n >> 8}.${n & 255}`, 'wrong');
    expect(ask(refuse, '192.0.2.1', TOKEN)).to.equal('too_many_attempts');
    ask(refuse, '10.1.0.0', 'wrong');
    expect(ask(refuse, '192.0.2.1', TOKEN)).to.equal(undefined);
  });

  it('behind a proxy that is trusted count for the address that it names', () => {
    const refuse = access(1);
    sendWrong(refuse, '127.0.0.1', 100, { 'x-forwarded-for': '203.0.113.9' });
    expect(ask(refuse, '127.0.0.1', TOKEN, { 'x-forwarded-for': '203.0.113.9' })).to.equal('too_many_attempts');
    expect(ask(refuse, '127.0.0.1', TOKEN, { 'x-forwarded-for': '203.0.113.9, 203.0.113.8' })).to.equal(undefined);
  });
});

describe('the address of a client', () => {
  for (const [trusted, peer, forwarded, expected] of [
    [0, '127.0.0.1', '203.0.113.9', '127.0.0.1'],
    [0, '::ffff:192.0.2.1', undefined, '192.0.2.1'],
    [1, '127.0.0.1', undefined, '127.0.0.1'],
    [1, '127.0.0.1', '', '127.0.0.1'],
    [1, '127.0.0.1', '203.0.113.9', '203.0.113.9'],
    [1, '127.0.0.1', 'made up, 198.51.100.1,203.0.113.9', '203.0.113.9'],
    [2, '127.0.0.1', '198.51.100.1, 203.0.113.9', '198.51.100.1'],
    [2, '127.0.0.1', '203.0.113.9', '203.0.113.9'],
    [1, '127.0.0.1', 'unknown', '127.0.0.1'],
    [1, '::1', '2001:db8::9', '2001:db8::9'],
  ] as const) {
    it(`from ${peer} with ${trusted} trusted and ${forwarded ?? 'no header'} is ${expected}`, () => {
      const headers: Record<string, string> = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
      expect(clientAddress(requestFrom(peer, headers), trusted)).to.equal(expected);
    });
  }

  for (const [address, network] of [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:0:1:2:3:4:5', '2001:db8:0:1::/64'],
    ['2001:DB8::1', '2001:db8:0:0::/64'],
    ['2001:0db8:0000:0001::', '2001:db8:0:1::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1:2:3:4', 'fe80:0:0:0::/64'],
  ] as const) {
    it(`${address} is of the network ${network}`, () => expect(networkOf(address)).to.equal(network));
  }
});
