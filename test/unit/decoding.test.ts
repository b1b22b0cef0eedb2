import { expect } from 'chai';
import fc from 'fast-check';
import { decodeUtf8, requireUtf8Body } from '../../src/api/decoding.js';

/** Each with the byte at which it stops being UTF-8. */
const NOT_UTF8: [what: string, bytes: Buffer, at: number][] = [
  ['Latin-1', Buffer.from('{"id":"sch\xf6n"}', 'latin1'), 10],
  ['Windows-1252', Buffer.from('{"id":"\x80"}', 'latin1'), 7],
  ['an overlong slash', Buffer.from('"\xc0\xaf"', 'latin1'), 1],
  ['an overlong NUL', Buffer.from('"\xc0\x80"', 'latin1'), 1],
  ['an overlong character of three bytes', Buffer.from('"\xe0\x80\xaf"', 'latin1'), 1],
  ['CESU-8', Buffer.from('"\xed\xa0\xbd\xed\xb8\x80"', 'latin1'), 1],
  ['an encoded half of a pair', Buffer.from('"ab\xed\xb0\x80"', 'latin1'), 3],
  ['a character beyond U+10FFFF', Buffer.from('"\xf4\x90\x80\x80"', 'latin1'), 1],
  ['a character of five bytes', Buffer.from('"\xf8\x88\x80\x80\x80"', 'latin1'), 1],
  ['a cut character', Buffer.from('"€').subarray(0, 3), 1],
  ['a character cut by ASCII', Buffer.from('"\xe2\x82"', 'latin1'), 1],
  ['a continuation without a beginning', Buffer.from('"\x80"', 'latin1'), 1],
  ['many continuations', Buffer.from(`"${'\x80'.repeat(100)}"`, 'latin1'), 1],
  ['a cut character behind many good ones', Buffer.concat([Buffer.from('€'.repeat(999)), Buffer.from([0xe2])]), 2_997],
  ['UTF-16 with its byte order mark', Buffer.from('\ufeff{}', 'utf16le'), 0],
  ['0xff', Buffer.from([0xff]), 0],
];

describe('bytes that are sent', () => {
  for (const [what, bytes, at] of NOT_UTF8) {
    it(`are refused as ${what}, with the place`, () => {
      const place = `at byte ${at} (0x${bytes[at]?.toString(16)})`;
      expect(() => requireUtf8Body(bytes, 'utf-8'))
        .to.throw(place)
        .with.property('code', 'invalid_json');
      expect(() => decodeUtf8(bytes, 'message')).to.throw(place);
    });
  }

  it('are never decoded to anything but the text that they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        // The one mark at the beginning is not part of a JSON text.
        expect(decodeUtf8(Buffer.from(`.${text}`), 'message')).to.equal(`.${text}`);
      }),
    );
    expect(decodeUtf8(Buffer.from('\ufeff{}'), 'message')).to.equal('{}');
  });

  it('are refused at the first wrong one, wherever it stands', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 });
    fc.assert(
      fc.property(text, text, (before, after) => {
        const bytes = Buffer.concat([Buffer.from(before), Buffer.from([0xff]), Buffer.from(after)]);
        const at = Buffer.byteLength(before);
        expect(() => requireUtf8Body(bytes, 'utf-8')).to.throw(`at byte ${at} (0xff)`);
      }),
    );
  });

  it('said to be in another encoding are not looked at', () => {
    for (const charset of ['utf-16', 'utf-16le', 'utf-32', 'utf-7', 'utf-8-mac']) {
      expect(() => requireUtf8Body(Buffer.from('{}'), charset))
        .to.throw(charset)
        .with.property('code', 'unsupported_encoding');
    }
    for (const charset of ['utf-8', 'UTF-8']) requireUtf8Body(Buffer.from('{}'), charset);
  });
});
