// /api/tasks/:id and POST /api/tasks (DESIGN 5): direct writes with their statuses, and that they are merged and logged like a device's.
import { expect } from 'chai';
import { CANONICAL, expectInvalid, expectProblem, expectTask, followReference, UUID_V7 } from '../support/contract.js';
import { deleteItem, newId, updateItem } from '../support/operations.js';
import { type Answer, type System, startSystem } from '../support/system.js';
import { withQueue } from '../support/withQueue.js';

describe('/api/tasks/:id', () => {
  let system: System;
  let nowMs = Date.parse('2027-03-01T12:00:00.000Z');

  before(async () => {
    system = await withQueue(startSystem(import.meta.url, { nowMs: () => nowMs }));
  });
  after(() => system.stop());

  const create = async (fields: object = {}) => {
    const answer = await system.request('POST', '/api/tasks', { title: 'Water the plants', ...fields });
    expect(answer.status, JSON.stringify(answer.body)).to.equal(201);
    return answer.body;
  };
  const addressOf = (id: string) => `/api/tasks/${encodeURIComponent(id)}`;
  const expectGone = (answer: Answer) => expectProblem(answer, 404, 'not_found');

  describe('POST', () => {
    it('makes a task with an id of its own and says where it is', async () => {
      const answer = await system.request('POST', '/api/tasks', { title: 'Buy milk' });
      expect(answer.status).to.equal(201);
      expectTask(answer.body);
      expect(answer.body).to.include({
        title: 'Buy milk',
        description: null,
        completed: false,
        deleted: false,
        sync_status: 'synced',
        created_at: '2027-03-01T12:00:00.000000Z',
      });
      expect(answer.body.id).to.match(UUID_V7);
      expect(answer.body.server_id).to.not.equal(answer.body.id);
      expect(answer.headers.get('location')).to.equal(`tasks/${answer.body.id}`);
      const read = await system.request('GET', `/api/tasks/${answer.body.id}`);
      expect(read.status).to.equal(200);
      expect(read.body).to.deep.equal(answer.body);
    });

    it('takes id, description and completed, and ignores what the server owns or does not know', async () => {
      const id = newId('task');
      const task = await create({
        id,
        title: 'Zażółć 👩‍👩‍👧 \u2028 "<b>"',
        description: '',
        completed: true,
        deleted: true,
        server_id: '00000000-0000-4000-8000-000000000000',
        seq: -1,
        updated_at: '1999-01-01T00:00:00Z',
        colour: { red: 1 },
      });
      expect(task).to.include({
        id,
        title: 'Zażółć 👩‍👩‍👧 \u2028 "<b>"',
        description: '',
        completed: true,
        deleted: false,
      });
      expect(task.server_id).to.not.equal('00000000-0000-4000-8000-000000000000');
      expect(task.updated_at).to.match(/^2027-03-01T12:00:00/);
      expect(task.seq).to.be.above(0);
    });

    it('takes every printable id and gives an address that works', async () => {
      for (const part of ['a/b', 'ü 👩‍👩‍👧', '100%', 'q?x=1&y#z', 'quote\'"\\', '..x', '__proto__']) {
        const id = part === '__proto__' ? part : newId(part);
        const answer = await system.request('POST', '/api/tasks', { id, title: part });
        expect(answer.status, JSON.stringify(answer.body)).to.equal(201);
        expect(answer.body.id).to.equal(id);
        const location = followReference('/api/tasks', answer.headers.get('location') ?? '');
        const read = await system.request('GET', location);
        expect(read.body).to.deep.equal(answer.body);
      }
    });

    it('takes values up to their limits', async () => {
      const id = `${newId('long')}${'x'.repeat(255)}`.slice(0, 255);
      const task = await create({ id, title: 't'.repeat(1_000), description: 'd'.repeat(20_000) });
      expect(task.title).to.have.lengthOf(1_000);
      expect(task.description).to.have.lengthOf(20_000);
    });

    const refused: [name: string, body: unknown, field: string][] = [
      ['no title', {}, 'title'],
      ['a blank title', { title: ' \t\n' }, 'title'],
      ['an empty title', { title: '' }, 'title'],
      ['a null title', { title: null }, 'title'],
      ['a number as title', { title: 7 }, 'title'],
      ['an array as title', { title: ['a'] }, 'title'],
      ['a title of 1,001 characters', { title: 't'.repeat(1_001) }, 'title'],
      ['a title with NUL', { title: 'a\u0000b' }, 'title'],
      ['a title with half a surrogate pair', { title: 'a\ud800b' }, 'title'],
      ['an object as description', { title: 'a', description: {} }, 'description'],
      ['a description of 20,001 characters', { title: 'a', description: 'd'.repeat(20_001) }, 'description'],
      ['a string as completed', { title: 'a', completed: 'true' }, 'completed'],
      ['null as completed', { title: 'a', completed: null }, 'completed'],
      ['a number as id', { title: 'a', id: 7 }, 'id'],
      ['an empty id', { title: 'a', id: '' }, 'id'],
      ['an id of 256 characters', { title: 'a', id: 'i'.repeat(256) }, 'id'],
      ['a dot as id', { title: 'a', id: '.' }, 'id'],
      ['two dots as id', { title: 'a', id: '..' }, 'id'],
      ['an id with a line break', { title: 'a', id: 'a\nb' }, 'id'],
    ];
    for (const [name, body, field] of refused) {
      it(`answers 400 to ${name}`, async () => {
        expectInvalid(await system.request('POST', '/api/tasks', body), field);
      });
    }

    it('names every field that is wrong', async () => {
      const answer = await system.request('POST', '/api/tasks', { completed: 1, description: 2 });
      expectProblem(answer, 400, 'invalid_request');
      const fields = answer.body.errors.map((each: { field: string }) => each.field);
      expect(fields).to.have.members(['title', 'completed', 'description']);
    });

    it('does not take a title from __proto__', async () => {
      expectInvalid(
        await system.request('POST', '/api/tasks', '{"__proto__": {"title": "from the prototype"}}'),
        'title',
      );
    });

    for (const [name, body] of [
      ['an array', '[{"title": "a"}]'],
      ['a string', '"title"'],
      ['null', 'null'],
      ['half an object', '{"title": "a"'],
    ]) {
      it(`answers 400 to a body that is ${name}`, async () => {
        expectProblem(await system.request('POST', '/api/tasks', body), 400, 'invalid_json');
      });
    }

    it('answers 400 to an empty body, with and without a content type', async () => {
      expectInvalid(await system.request('POST', '/api/tasks', ''), 'title');
      expectProblem(await system.request('POST', '/api/tasks'), 400, 'invalid_json');
    });

    it('answers 409 where the id exists, also as a deleted task', async () => {
      const { id } = await create({ title: 'first' });
      const again = await system.request('POST', '/api/tasks', { id, title: 'second' });
      expectProblem(again, 409, 'already_exists');
      expect((await system.request('GET', addressOf(id))).body.title).to.equal('first');
      await system.request('DELETE', addressOf(id));
      expectProblem(await system.request('POST', '/api/tasks', { id, title: 'third' }), 409, 'already_exists');
      expectGone(await system.request('GET', addressOf(id)));
    });

    it('lets one of many concurrent creates of an id win', async () => {
      const id = newId('task');
      const answers = await Promise.all(
        Array.from({ length: 12 }, (_, n) => system.request('POST', '/api/tasks', { id, title: `writer ${n}` })),
      );
      const winners = answers.filter((answer) => answer.status === 201);
      expect(winners).to.have.lengthOf(1);
      expect(answers.filter((answer) => answer.status === 409)).to.have.lengthOf(11);
      expect((await system.request('GET', addressOf(id))).body).to.deep.equal(winners[0]?.body);
    });
  });

  describe('GET', () => {
    it('finds a task by its server id, in either case', async () => {
      const task = await create();
      for (const id of [task.server_id, task.server_id.toUpperCase()]) {
        expect((await system.request('GET', addressOf(id))).body).to.deep.equal(task);
      }
    });

    it('answers 404 to what does not exist, was deleted, or cannot exist', async () => {
      const task = await create();
      await system.request('DELETE', addressOf(task.id));
      const ids = [task.id, task.server_id, newId('never'), 'x'.repeat(129), 'a\nb', 'a\u0000b'];
      for (const id of ids) expectGone(await system.request('GET', addressOf(id)));
    });

    it('answers 400 to an address that is not properly encoded', async () => {
      expectProblem(await system.request('GET', '/api/tasks/%E0%A4%A'), 400, 'invalid_request');
    });
  });

  describe('PUT', () => {
    it('replaces title, description and completed; what is absent gets its default', async () => {
      const task = await create({ description: 'old', completed: true });
      nowMs += 1_000;
      const answer = await system.request('PUT', addressOf(task.id), { title: 'new', id: 'another', seq: 1 });
      expect(answer.status).to.equal(200);
      expectTask(answer.body);
      const { updated_at, op_id, seq, last_synced_at, ...rest } = answer.body;
      const { updated_at: before, op_id: firstOp, seq: firstSeq, last_synced_at: firstSync, ...was } = task;
      expect(rest).to.deep.equal({ ...was, title: 'new', description: null, completed: false });
      expect(updated_at > before && last_synced_at > firstSync).to.equal(true);
      expect(op_id).to.not.equal(firstOp);
      expect(seq).to.be.above(firstSeq);
    });

    it('works with the server id', async () => {
      const task = await create();
      const answer = await system.request('PUT', addressOf(task.server_id), { title: 'new', completed: true });
      expect(answer.body).to.include({ id: task.id, server_id: task.server_id, title: 'new', completed: true });
    });

    it('answers 400 without a title and changes nothing', async () => {
      const task = await create();
      expectInvalid(await system.request('PUT', addressOf(task.id), { completed: true }), 'title');
      expectInvalid(await system.request('PUT', addressOf(task.id), { title: 'a', completed: 'no' }), 'completed');
      expectProblem(await system.request('PUT', addressOf(task.id), '['), 400, 'invalid_json');
      expect((await system.request('GET', addressOf(task.id))).body).to.deep.equal(task);
    });

    it('answers 404 to an unknown and to a deleted task', async () => {
      const task = await create();
      await system.request('DELETE', addressOf(task.id));
      expectGone(await system.request('PUT', addressOf(task.id), { title: 'back' }));
      const id = newId('never');
      expectGone(await system.request('PUT', addressOf(id), { title: 'new' }));
      expectGone(await system.request('GET', addressOf(id)));
    });
  });

  describe('PATCH', () => {
    for (const [field, value] of [
      ['title', 'another'],
      ['description', 'another'],
      ['description', null],
      ['description', ''],
      ['completed', false],
    ] as const) {
      it(`sets only ${field} to ${JSON.stringify(value)}`, async () => {
        const task = await create({ description: 'first', completed: true });
        const answer = await system.request('PATCH', addressOf(task.id), { [field]: value });
        expect(answer.status).to.equal(200);
        expectTask(answer.body);
        const { title, description, completed } = task;
        expect(answer.body).to.include({ title, description, completed, [field]: value });
      });
    }

    it('restores a deleted task, with what else it sets', async () => {
      const task = await create({ description: 'kept' });
      await system.request('DELETE', addressOf(task.id));
      const answer = await system.request('PATCH', addressOf(task.id), { deleted: false, title: 'back' });
      expect(answer.status).to.equal(200);
      expect(answer.body).to.include({ id: task.id, deleted: false, title: 'back', description: 'kept' });
      expect((await system.request('GET', addressOf(task.id))).body).to.deep.equal(answer.body);
    });

    it('restores by the server id, and a task that is not deleted stays as it is', async () => {
      const task = await create();
      await system.request('DELETE', addressOf(task.server_id));
      expect((await system.request('PATCH', addressOf(task.server_id), { deleted: false })).body.deleted).to.equal(
        false,
      );
      const again = await system.request('PATCH', addressOf(task.id), { deleted: false });
      expect(again.status).to.equal(200);
      expect(again.body).to.include({ title: task.title, deleted: false });
    });

    it('answers 400 to a body that sets nothing, or sets it wrongly', async () => {
      const task = await create();
      const path = addressOf(task.id);
      expectInvalid(await system.request('PATCH', path, {}), 'body');
      expectInvalid(await system.request('PATCH', path, { id: 'x', seq: 4, colour: 'red' }), 'body');
      expectInvalid(await system.request('PATCH', path, { deleted: true }), 'deleted');
      expectInvalid(await system.request('PATCH', path, { title: ' ' }), 'title');
      expectInvalid(await system.request('PATCH', path, { title: null }), 'title');
      expectProblem(await system.request('PATCH', path, 'null'), 400, 'invalid_json');
      expect((await system.request('GET', path)).body).to.deep.equal(task);
    });

    it('answers 404 to an unknown task, and to a deleted one that it does not restore', async () => {
      const task = await create();
      await system.request('DELETE', addressOf(task.id));
      expectGone(await system.request('PATCH', addressOf(task.id), { title: 'back' }));
      expectGone(await system.request('PATCH', addressOf(newId('never')), { deleted: false }));
    });
  });

  describe('DELETE', () => {
    it('answers the deleted task once, then 404', async () => {
      const task = await create({ description: 'kept' });
      const answer = await system.request('DELETE', addressOf(task.id));
      expect(answer.status).to.equal(200);
      expect(answer.body).to.have.all.keys('status', 'task');
      expect(answer.body.status).to.equal('deleted');
      expectTask(answer.body.task);
      expect(answer.body.task).to.include({ id: task.id, deleted: true, title: task.title, description: 'kept' });
      expectGone(await system.request('DELETE', addressOf(task.id)));
      expectGone(await system.request('DELETE', addressOf(newId('never'))));
    });

    it('lets one of many concurrent deletes succeed', async () => {
      const { id } = await create();
      const answers = await Promise.all(Array.from({ length: 8 }, () => system.request('DELETE', addressOf(id))));
      expect(answers.map((answer) => answer.status).sort()).to.deep.equal([200, ...Array(7).fill(404)]);
    });
  });

  describe('among devices', () => {
    it('never loses to what is there, not even with a server clock that went back', async () => {
      const { id } = await create({ title: 'first' });
      const device = await system.push([
        updateItem(id, { title: 'device', updated_at: new Date(nowMs).toISOString() }),
      ]);
      const { updated_at } = device.body.processed_items[0].resolved_data;
      nowMs -= 3_600_000;
      try {
        const answer = await system.request('PATCH', addressOf(id), { title: 'direct' });
        expect(answer.status).to.equal(200);
        expect(answer.body.title).to.equal('direct');
        expect(answer.body.updated_at > updated_at).to.equal(true);
      } finally {
        nowMs += 3_600_000;
      }
    });

    it('wins over an older edit of a device, which is told so (I4)', async () => {
      const { id } = await create({ title: 'direct' });
      const older = new Date(nowMs - 60_000).toISOString();
      const { body } = await system.push([
        updateItem(id, { title: 'late', updated_at: older }),
        deleteItem(id, { updated_at: older }),
      ]);
      for (const item of body.processed_items) {
        expect(item.status).to.equal('conflict');
        expect(item.resolved_data).to.include({ title: 'direct', deleted: false });
      }
    });

    it('is logged like an operation, and counts seq without gaps (I3)', async () => {
      const { id, seq, op_id } = await create();
      const patches = await Promise.all(
        Array.from({ length: 10 }, (_, n) => system.request('PATCH', addressOf(id), { title: `edit ${n}` })),
      );
      const seqs = patches.map((answer) => answer.body.seq).sort((a, b) => a - b);
      expect(seqs).to.deep.equal(Array.from({ length: 10 }, (_, n) => seq + 1 + n));
      const log = await system.database.select<Record<string, unknown>>(
        'SELECT * FROM sync_queue WHERE task_id = $1 ORDER BY seq',
        [id],
      );
      expect(log.map((row) => row.seq)).to.deep.equal([seq, ...seqs]);
      expect(log[0]).to.include({ op_id, operation: 'create', status: 'synced', outcome: 'success', batch_id: null });
      for (const row of log) expect(row.last_attempted_at).to.match(CANONICAL);
    });
  });
});
