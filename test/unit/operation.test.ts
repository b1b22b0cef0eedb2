import { expect } from 'chai';
import { fieldsOf, readOperation } from '../../src/sync/operation.js';

const item = (changes: object = {}) => ({
  client_id: 'phone-1',
  op_id: 'op-1',
  operation: 'update',
  data: { id: 't1', title: 'Buy milk', updated_at: '2026-01-31T12:30:00.123456+02:00' },
  ...changes,
});

function accepted(sent: unknown) {
  const read = readOperation(sent);
  if ('invalid' in read) throw new Error(`refused: ${read.invalid.message}`);
  return read.operation;
}

function refused(sent: unknown) {
  const read = readOperation(sent);
  if ('operation' in read) throw new Error('accepted');
  return read.invalid;
}

describe('an operation', () => {
  it('is read with its canonical time and its data as received', () => {
    const { contentHash, ...rest } = accepted(item({ data: { ...item().data, color: 'red' } }));
    expect(rest).to.deep.equal({
      clientId: 'phone-1',
      opId: 'op-1',
      kind: 'update',
      taskId: 't1',
      data: { id: 't1', title: 'Buy milk', updated_at: '2026-01-31T12:30:00.123456+02:00', color: 'red' },
      updatedAt: '2026-01-31T10:30:00.123456Z',
    });
    expect(contentHash).to.match(/^[\w-]{22}$/);
  });

  it('takes task_id and id from beside its data', () => {
    const read = accepted({ client_id: 'a', operation: 'delete', task_id: 't9', id: 'o9' });
    expect(read).to.include({ taskId: 't9', opId: 'o9', kind: 'delete' });
  });

  it('takes if_seq from beside its data; it is part of the content', () => {
    expect(accepted(item({ if_seq: 0 })).ifSeq).to.equal(0);
    expect(accepted(item({ if_seq: 17 })).ifSeq).to.equal(17);
    for (const absent of [item(), item({ if_seq: null })]) expect(accepted(absent)).to.not.have.property('ifSeq');
    const hashes = [{}, { if_seq: 0 }, { if_seq: 17 }].map((changes) => accepted(item(changes)).contentHash);
    expect(new Set(hashes).size).to.equal(3);
    expect(accepted(item({ if_seq: null })).contentHash).to.equal(hashes[0]);
  });

  for (const wrong of [-1, 1.5, '17', true, 2 ** 53]) {
    it(`refuses if_seq ${JSON.stringify(wrong)}`, () => {
      expect(refused(item({ if_seq: wrong })).field).to.equal('if_seq');
    });
  }

  describe('with fields that the server does not know', () => {
    const known = { id: 't1', title: 'T'.repeat(1_000), description: '\u0001'.repeat(20_000), completed: true };
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`f${n}`, n]));

    it('takes as many as the limits allow, however long the fields of a task are (I8)', () => {
      expect(accepted(item({ data: { ...known, ...many(64) } })).data).to.include({ f63: 63 });
      const note = 'n'.repeat(16_384 - JSON.stringify({ note: '' }).length + 1);
      expect(accepted(item({ data: { ...known, note } })).data).to.deep.equal({ ...known, note });
      expect(refused(item({ data: { ...known, note: `${note}n` } })).field).to.equal('data');
    });

    const cases: [what: string, data: object, message: RegExp][] = [
      ['too many fields', many(65), /^data has 65 fields .* 64 /],
      ['a long text', { note: 'x'.repeat(20_000) }, /^what data has .* 16384 /],
      ['characters that JSON writes long', { note: '\u0001'.repeat(4_000) }, / 16384 /],
      ['a long name', { ['n'.repeat(20_000)]: 1 }, / 16384 /],
      ['something large inside', { note: { deep: [Array.from({ length: 5_000 }, () => 'abc')] } }, / 16384 /],
      ['a time without end', { updated_at: `2026-01-31T10:30:00.${'0'.repeat(20_000)}Z` }, / 16384 /],
    ];
    for (const [what, data, message] of cases) {
      for (const operation of ['create', 'update', 'delete']) {
        it(`refuses ${what} in a ${operation}, and says which limit`, () => {
          const invalid = refused(item({ operation, data: { id: 't1', title: 'T', ...data } }));
          expect(invalid.field).to.equal('data');
          expect(invalid.message).to.match(message);
        });
      }
    }
  });

  it('names what cannot be stored by a path of bounded length', () => {
    const { field, message } = refused(item({ data: { id: 't1', ['k'.repeat(100_000)]: { deep: 'a\u0000' } } }));
    expect(field)
      .to.match(/^data\.k+\.\.\.$/)
      .and.have.lengthOf(200);
    expect(message.length).to.be.below(400);
  });

  it('leaves the id of a create to the server', () => {
    expect(accepted(item({ operation: 'create', data: { title: 'New' } })).taskId).to.equal(undefined);
  });

  it('without an op_id is known by its content, whatever the order of its keys (I2)', () => {
    const one = accepted(item({ op_id: undefined }));
    const same = accepted({
      data: { updated_at: item().data.updated_at, title: 'Buy milk', id: 't1' },
      operation: 'update',
      client_id: 'phone-1',
    });
    expect(same.opId).to.equal(one.opId);
    expect(accepted(item({ op_id: undefined, client_id: 'phone-2' })).opId).to.not.equal(one.opId);
    expect(accepted(item({ op_id: undefined, data: { ...item().data, title: 'Other' } })).opId).to.not.equal(one.opId);
  });

  it('has another content hash for another content only', () => {
    expect(accepted(item({ op_id: 'x' })).contentHash).to.equal(accepted(item()).contentHash);
    expect(accepted(item({ operation: 'create' })).contentHash).to.not.equal(accepted(item()).contentHash);
  });

  it('does not adopt a __proto__ key', () => {
    const sent = JSON.parse(
      '{"client_id":"a","operation":"update","data":{"id":"1","__proto__":{"title":"evil"}},"__proto__":{"op_id":"evil"}}',
    );
    const read = accepted(sent);
    expect(fieldsOf(read.data)).to.deep.equal({});
    expect(read.opId).to.not.equal('evil');
  });

  it('sets only the fields that a task has and a client owns', () => {
    const data = {
      id: 't1',
      title: 'T',
      description: null,
      completed: true,
      deleted: true,
      seq: 9,
      server_id: 'x',
      created_at: 'x',
    };
    expect(fieldsOf(data)).to.deep.equal({ title: 'T', description: null, completed: true });
    expect(fieldsOf({ title: undefined })).to.deep.equal({});
  });

  const deep = JSON.parse(`${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`);
  const bad: [what: string, sent: unknown, field: string, message: RegExp][] = [
    ['null', null, 'item', /must be an object/],
    ['a string', 'create', 'item', /must be an object/],
    ['a number', 7, 'item', /must be an object/],
    ['an array', [], 'item', /must be an object/],
    ['nothing at all', undefined, 'item', /required|object/],
    ['no client_id', item({ client_id: undefined }), 'client_id', /client_id is required/],
    ['a numeric client_id', item({ client_id: 5 }), 'client_id', /client_id must be a string/],
    ['an empty op_id', item({ op_id: '' }), 'op_id', /1 to 255 printable/],
    ['a huge op_id', item({ op_id: 'x'.repeat(256) }), 'op_id', /1 to 255 printable/],
    ['a line break in an id', item({ data: { id: 'a\nb' } }), 'data.id', /1 to 255 printable/],
    ['a dot as id', item({ data: { id: '.' } }), 'data.id', /must not be \. or \.\./],
    ['two dots as id of a delete', item({ operation: 'delete', data: { id: '..' } }), 'data.id', /must not be/],
    ['two dots as task_id', item({ task_id: '..', data: {} }), 'task_id', /must not be/],
    ['an unknown operation', item({ operation: 'upsert' }), 'operation', /one of \[create, update, delete\]/],
    ['an operation that is an object', item({ operation: {} }), 'operation', /one of/],
    ['no data', item({ data: undefined }), 'data', /data is required/],
    ['data that is text', item({ data: 'title' }), 'data', /data must be an object/],
    ['data that is an array', item({ data: [] }), 'data', /data must be an object/],
    ['an update without an id', item({ data: { title: 'x' } }), 'data.id', /data.id is required/],
    ['a delete without an id', item({ operation: 'delete', data: null }), 'data.id', /data.id is required/],
    ['two different ids', item({ task_id: 't2' }), 'task_id', /different tasks/],
    [
      'a create without a title',
      item({ operation: 'create', data: { id: 't1' } }),
      'data.title',
      /data.title is required/,
    ],
    ['a title of another type', item({ data: { id: 't1', title: 5 } }), 'data.title', /must be a string/],
    ['a blank title', item({ data: { id: 't1', title: ' \t' } }), 'data.title', /must not be blank/],
    [
      'a title of 1,001 characters',
      item({ data: { id: 't1', title: 'x'.repeat(1_001) } }),
      'data.title',
      /1000 characters/,
    ],
    ['completed as text', item({ data: { id: 't1', completed: 'true' } }), 'data.completed', /must be a boolean/],
    ['a time that is none', item({ data: { id: 't1', updated_at: 'infinity' } }), 'data.updated_at', /ISO 8601/],
    ['a time that is a number', item({ data: { id: 't1', updated_at: 5 } }), 'data.updated_at', /must be a string/],
    ['a NUL in a title', item({ data: { id: 't1', title: 'a\0b' } }), 'data.title', /NUL/],
    ['half a surrogate pair', item({ data: { id: 't1', title: 'a\ud800b' } }), 'data.title', /surrogate/],
    ['a NUL in a field nobody knows', item({ data: { id: 't1', x: { y: ['\0'] } } }), 'data.x.y.0', /NUL/],
    ['half a pair in a key', item({ data: { id: 't1', '\udfff': 1 } }), 'data', /surrogate/],
    ['40,000 levels', item({ data: { id: 't1', deep } }), 'data', /deeper than 32/],
  ];
  for (const [what, sent, field, message] of bad) {
    it(`is refused with ${what}`, () => {
      const invalid = refused(sent);
      expect(invalid.field).to.equal(field);
      expect(invalid.message).to.match(message);
    });
  }
});
