// One bad item blocks nobody (I5): a batch that holds everything a client can get wrong, and the good ones between.
import { expect } from 'chai';
import { expectBatch } from '../support/contract.js';
import { createItem, newId } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

interface Bad {
  name: string;
  /** The item as it stands in the body: not everything bad can be made by JSON.stringify. */
  json: string;
  /** The field that the answer must name. */
  field: string | RegExp;
}

type Fields = Record<string, unknown>;

const good = (overrides: Fields, data: Fields = {}) => {
  const item = createItem(newId('bad'), data);
  return JSON.stringify({ ...item, ...overrides });
};
const withData = (data: Fields) => good({}, data);
/** An item whose `data` ends in this raw JSON. */
const withRaw = (raw: string) => withData({ marker: 1 }).replace('"marker":1', () => raw);

const BAD: Bad[] = [
  { name: 'null', json: 'null', field: 'item' },
  { name: 'a string', json: '"create"', field: 'item' },
  { name: 'a string with NUL', json: '"\\u0000"', field: 'item' },
  { name: 'a number', json: '7', field: 'item' },
  { name: 'a boolean', json: 'true', field: 'item' },
  { name: 'an array', json: '[]', field: 'item' },
  { name: 'an array of an item', json: `[${good({})}]`, field: 'item' },
  { name: 'an empty object', json: '{}', field: 'client_id' },
  { name: 'an item inside __proto__', json: `{"__proto__": ${good({})}}`, field: /./ },
  { name: 'the number 1e400', json: '1e400', field: 'item' },
  { name: 'no client_id', json: good({ client_id: undefined }), field: 'client_id' },
  { name: 'an empty client_id', json: good({ client_id: '' }), field: 'client_id' },
  { name: 'a number as client_id', json: good({ client_id: 7 }), field: 'client_id' },
  { name: 'an object as client_id', json: good({ client_id: { a: 1 } }), field: 'client_id' },
  { name: 'a client_id of 256 characters', json: good({ client_id: 'c'.repeat(256) }), field: 'client_id' },
  { name: 'a client_id with a line break', json: good({ client_id: 'a\nb' }), field: 'client_id' },
  { name: 'a number as op_id', json: good({ op_id: 7 }), field: 'op_id' },
  { name: 'an empty op_id', json: good({ op_id: '' }), field: 'op_id' },
  { name: 'an op_id of 100,000 characters', json: good({ op_id: 'o'.repeat(100_000) }), field: 'op_id' },
  { name: 'an array as op_id', json: good({ op_id: ['a'] }), field: 'op_id' },
  { name: 'a number as id beside data', json: good({ id: 7 }), field: 'id' },
  { name: 'no operation', json: good({ operation: undefined }), field: 'operation' },
  { name: 'an unknown operation', json: good({ operation: 'upsert' }), field: 'operation' },
  { name: 'an operation in capitals', json: good({ operation: 'CREATE' }), field: 'operation' },
  { name: 'an operation called __proto__', json: good({ operation: '__proto__' }), field: 'operation' },
  { name: 'an array as operation', json: good({ operation: ['create'] }), field: 'operation' },
  { name: 'null as operation', json: good({ operation: null }), field: 'operation' },
  { name: 'no data', json: good({ data: undefined }), field: 'data' },
  { name: 'null as data', json: good({ data: null }), field: 'data' },
  { name: 'a string as data', json: good({ data: '{"id": "a"}' }), field: 'data' },
  { name: 'an array as data', json: good({ data: [{ id: 'a', title: 'a' }] }), field: 'data' },
  { name: 'a string as data of a delete', json: good({ operation: 'delete', data: 'a' }), field: 'data' },
  { name: 'a create without a title', json: withData({ title: undefined }), field: 'data.title' },
  { name: 'a null title', json: withData({ title: null }), field: 'data.title' },
  { name: 'a blank title', json: withData({ title: '   ' }), field: 'data.title' },
  { name: 'a blank title of an update', json: good({ operation: 'update' }, { title: '' }), field: 'data.title' },
  { name: 'a number as title', json: withData({ title: 7 }), field: 'data.title' },
  { name: 'an object as title', json: withData({ title: { length: 3 } }), field: 'data.title' },
  { name: 'a title of 1,001 characters', json: withData({ title: 't'.repeat(1_001) }), field: 'data.title' },
  {
    name: 'a title from data.__proto__',
    json: withRaw('"__proto__": {"title": "inherited"}').replace(/"title":"[^"]*",/, ''),
    field: 'data.title',
  },
  { name: 'a title of 1e400', json: withRaw('"title": 1e400'), field: 'data.title' },
  { name: 'a description that is an array', json: withData({ description: ['a'] }), field: 'data.description' },
  { name: 'a description too long', json: withData({ description: 'd'.repeat(20_001) }), field: 'data.description' },
  { name: 'completed as a string', json: withData({ completed: 'false' }), field: 'data.completed' },
  { name: 'completed as 1', json: withData({ completed: 1 }), field: 'data.completed' },
  { name: 'completed as null', json: withData({ completed: null }), field: 'data.completed' },
  { name: 'a number as data.id', json: withData({ id: 7 }), field: 'data.id' },
  { name: 'an object as data.id', json: withData({ id: { $ne: null } }), field: 'data.id' },
  { name: 'an array as data.id', json: withData({ id: ['a', 'b'] }), field: 'data.id' },
  { name: 'null as data.id of an update', json: good({ operation: 'update' }, { id: null }), field: 'data.id' },
  { name: 'an empty data.id', json: withData({ id: '' }), field: 'data.id' },
  { name: 'a data.id of 256 characters', json: withData({ id: 'i'.repeat(256) }), field: 'data.id' },
  { name: 'a data.id of 100,000 characters', json: withData({ id: 'i'.repeat(100_000) }), field: 'data.id' },
  { name: 'a data.id with a line separator', json: withData({ id: 'a\u2028b' }), field: 'data.id' },
  { name: 'a dot as data.id', json: withData({ id: '.' }), field: 'data.id' },
  { name: 'two dots as data.id of an update', json: good({ operation: 'update' }, { id: '..' }), field: 'data.id' },
  {
    name: 'two dots as task_id of a delete',
    json: good({ operation: 'delete', task_id: '..', data: {} }),
    field: 'task_id',
  },
  { name: 'an update of no task', json: good({ operation: 'update' }, { id: undefined }), field: 'data.id' },
  { name: 'a delete of no task', json: good({ operation: 'delete', data: undefined }), field: 'data.id' },
  { name: 'another task_id beside data', json: good({ task_id: 'another' }), field: 'task_id' },
  { name: 'a number as task_id', json: good({ task_id: 7 }), field: 'task_id' },
  { name: "'infinity' as updated_at", json: withData({ updated_at: 'infinity' }), field: 'data.updated_at' },
  { name: "'now' as updated_at", json: withData({ updated_at: 'now' }), field: 'data.updated_at' },
  { name: 'an empty updated_at', json: withData({ updated_at: '' }), field: 'data.updated_at' },
  { name: 'a number as updated_at', json: withData({ updated_at: 1_767_225_600_000 }), field: 'data.updated_at' },
  { name: 'a week as updated_at', json: withData({ updated_at: '2026-W05-6' }), field: 'data.updated_at' },
  { name: 'February 30th', json: withData({ updated_at: '2026-02-30T10:00:00Z' }), field: 'data.updated_at' },
  { name: 'the year 10000', json: withData({ updated_at: '+010000-01-01T00:00:00Z' }), field: 'data.updated_at' },
  {
    name: "'infinity' of a delete",
    json: good({ operation: 'delete' }, { updated_at: '-infinity' }),
    field: 'data.updated_at',
  },
  { name: 'NUL in the title', json: withData({ title: 'a\u0000b' }), field: 'data.title' },
  { name: 'NUL in an unknown field', json: withData({ note: { deep: ['\u0000'] } }), field: /^data\.note/ },
  { name: 'NUL in a key', json: withRaw('"a\\u0000b": 1'), field: 'data' },
  { name: 'NUL in the client_id', json: good({ client_id: 'a\u0000' }), field: 'client_id' },
  { name: 'NUL in the operation', json: good({ operation: 'create\u0000' }), field: 'operation' },
  { name: 'half a surrogate pair in the title', json: withRaw('"title": "a\\ud800b"'), field: 'data.title' },
  { name: 'the other half in the description', json: withRaw('"description": "\\udc00"'), field: 'data.description' },
  { name: 'half a surrogate pair in the id', json: withRaw('"id": "\\ud83d"'), field: 'data.id' },
  { name: 'half a surrogate pair in a key', json: withRaw('"\\ud800": 1'), field: 'data' },
  {
    name: '40,000 levels of arrays',
    json: withRaw(`"deep": ${'['.repeat(40_000)}${']'.repeat(40_000)}`),
    field: 'data',
  },
  { name: '40,000 levels as an item', json: `${'['.repeat(40_000)}${']'.repeat(40_000)}`, field: /./ },
  {
    name: '10,000 levels of objects',
    json: withRaw(`"deep": ${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`),
    field: 'data',
  },
];

describe('a batch with bad items', () => {
  let system: System;

  before(async () => {
    system = await withQueue(startSystem(import.meta.url));
  });
  after(() => system.stop());

  const pushRaw = (items: string[]) => system.request('POST', '/api/sync/batch', `{"items": [${items.join(',')}]}`);

  it('applies every good sibling and says of each bad one what is wrong', async () => {
    const siblings = BAD.map(({ name }) => createItem(newId('good'), { title: `beside ${name}` }));
    const answer = await pushRaw(BAD.flatMap(({ json }, n) => [json, JSON.stringify(siblings[n])]));
    expectBatch(answer, 200);
    const { processed_items: results, batch_id, summary } = answer.body;
    expect(summary).to.include({ success: BAD.length, error: BAD.length });
    for (const [n, sibling] of siblings.entries()) {
      expect(results[n * 2 + 1]).to.include({ status: 'success', op_id: sibling.op_id, task_id: sibling.data.id });
      expect(results[n * 2 + 1].resolved_data.title).to.equal(sibling.data.title);
    }
    const read = await system.request('GET', `/api/sync/batches/${batch_id}`);
    expect(read.body.processed_items, 'kept with the batch').to.deep.equal(results);
    const { body: tasks } = await system.request('GET', '/api/tasks?limit=1000&include_deleted=true');
    const titles = tasks.map((task: { title: string }) => task.title);
    expect(titles).to.have.members(siblings.map((sibling) => sibling.data.title));
    const { body: status } = await system.request('GET', '/api/sync/status');
    expect(status, 'an invalid item is not queued').to.include({ pending: 0, failed: 0, synced: BAD.length });
  });

  for (const { name, json, field } of BAD) {
    it(`answers \`error\` to ${name}`, async () => {
      const sibling = createItem(newId('good'));
      const answer = await pushRaw([json, JSON.stringify(sibling)]);
      expectBatch(answer, 200);
      const [bad, applied] = answer.body.processed_items;
      expect(applied.status).to.equal('success');
      expect(bad).to.include({ status: 'error', resolved_data: null, server_id: null });
      if (typeof field === 'string') expect(bad.field, bad.message).to.equal(field);
      else expect(bad.field, bad.message).to.match(field);
      expect(bad.message.length, 'a message for people').to.be.within(10, 300);
    });
  }

  it('is completed when it holds nothing else, and none of it is kept in the queue', async () => {
    const answer = await pushRaw(['null', '{}', '[]']);
    expectBatch(answer, 200);
    expect(answer.body.summary.error).to.equal(3);
    expectBatch(await system.request('GET', `/api/sync/batches/${answer.body.batch_id}`), 200);
  });

  it('echoes of a bad item what can be repeated, so that the client finds it', async () => {
    const item = { ...createItem(newId('task'), { title: 7 }), client_id: 'tablet' };
    const [result] = (await system.push([item])).body.processed_items;
    expect(result).to.include({ client_id: 'tablet', op_id: item.op_id, operation: 'create', task_id: item.data.id });
    const [unsafe] = (await system.push([{ client_id: '\ud800', op_id: 'a\u0000', operation: 7, data: { id: {} } }]))
      .body.processed_items;
    expect(unsafe).to.include({ client_id: null, op_id: null, operation: null, task_id: null });
  });

  it('may be corrected under the same op_id: what was refused was never accepted', async () => {
    const item = createItem(newId('task'), { title: '' });
    expect((await system.push([item])).body.processed_items[0].status).to.equal('error');
    const corrected = { ...item, data: { ...item.data, title: 'not blank any more' } };
    const [result] = (await system.push([corrected])).body.processed_items;
    expect(result.status).to.equal('success');
    expect(result).to.not.have.property('duplicate');
  });

  it('takes unusual, but good values', async () => {
    const items = [
      withRaw('"note": 1e400'),
      withRaw('"note": -0.0, "__proto__": {"completed": true}'),
      withRaw('"constructor": {"prototype": {"completed": true}}'),
      withRaw(`"note": ${'['.repeat(25)}${']'.repeat(25)}`),
      withData({ title: '👩‍👩‍👧‍👦'.repeat(40), description: '\u0001\u007f\ufeff\uffff' }),
      withData({ id: '🙂'.repeat(254).concat(newId('').slice(0, 1)) }),
      withData({ updated_at: '0001-01-01T00:00:00Z' }),
      withData({ updated_at: '2026-01-31 10:00' }),
      withData({ updated_at: '2026-01-31' }),
      withData({ updated_at: '20190211T154011Z' }),
      withData({ updated_at: '2016-12-31T23:59:60Z' }),
      withData({ updated_at: `2026-01-31T10:00:00.${'1'.repeat(30)}Z` }),
    ];
    const answer = await pushRaw(items);
    expectBatch(answer, 200);
    expect(
      answer.body.summary.success,
      JSON.stringify(answer.body.processed_items.map((item: { message: string }) => item.message)),
    ).to.equal(items.length);
    for (const { resolved_data } of answer.body.processed_items) expect(resolved_data.completed).to.equal(false);
    const [, , , , text] = answer.body.processed_items;
    expect(text.resolved_data).to.include({ title: '👩‍👩‍👧‍👦'.repeat(40), description: '\u0001\u007f\ufeff\uffff' });
  });

  it('takes any client_timestamp without harm', async () => {
    const values = [
      '"\\u0000"',
      '"\\ud800"',
      '{}',
      '1e400',
      '"infinity"',
      '[]',
      'true',
      `${'['.repeat(40_000)}${']'.repeat(40_000)}`,
    ];
    for (const value of values) {
      const item = JSON.stringify(createItem(newId('task')));
      const answer = await system.request(
        'POST',
        '/api/sync/batch',
        `{"items": [${item}], "client_timestamp": ${value}}`,
      );
      expectBatch(answer, 200);
      expect(answer.body.summary.success).to.equal(1);
      expect(answer.body.clock).to.include({ skew_ms: null, adjusted: 0 });
    }
  });
});
