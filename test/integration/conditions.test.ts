// Conditional requests on single tasks (RFC 9110): ETag, If-Match, If-None-Match.
import { expect } from 'chai';
import { expectProblem } from '../support/contract.js';
import { createItem, newId } from '../support/operations.js';
import { type System, startSystem } from '../support/system.js';

/** What compressing proxies make of an ETag: nginx and Cloudflare, Apache and Caddy, Jetty, two of them in a row. */
const COMPRESSED: ((seq: string) => string)[] = [
  (seq) => `W/"${seq}"`,
  (seq) => `"${seq}-gzip"`,
  (seq) => `"${seq}--gzip"`,
  (seq) => `W/"${seq}-br"`,
];

describe('conditional requests', () => {
  let system: System;
  before(async () => {
    system = await startSystem(import.meta.url);
  });
  after(() => system.stop());

  async function create(label: string) {
    const id = newId(label);
    const answer = await system.request('POST', '/api/tasks', { id, title: 'First' });
    expect(answer.status).to.equal(201);
    return { path: `/api/tasks/${id}`, tag: answer.headers.get('etag') ?? '', answer };
  }
  const get = (path: string, headers = {}) => system.request('GET', path, undefined, headers);

  it('every answer with one task has its seq as ETag, which changes with every write', async () => {
    const { path, answer } = await create('tagged');
    const answers = [
      answer,
      await system.request('PUT', path, { title: 'Second' }),
      await system.request('PATCH', path, { completed: true }),
    ];
    for (const each of answers) expect(each.headers.get('etag')).to.equal(`"${each.body.seq}"`);
    expect(new Set(answers.map((each) => each.headers.get('etag'))).size).to.equal(3);
    expect((await get(path)).headers.get('etag')).to.equal(answers[2]?.headers.get('etag'));
  });

  for (const [what, header] of [
    ['its tag', (tag: string) => tag],
    ['its tag in a list', (tag: string) => `"0", ${tag} , W/"9"`],
    ['its tag as a weak one', (tag: string) => `W/${tag}`],
    ['*', () => '*'],
  ] as const) {
    it(`If-None-Match with ${what}: 304 without a body`, async () => {
      const { path, tag } = await create('known');
      const answer = await get(path, { 'if-none-match': header(tag) });
      expect([answer.status, answer.body, answer.headers.get('etag')]).to.deep.equal([304, undefined, tag]);
      await system.request('PATCH', path, { title: 'Other' });
      const changed = await get(path, { 'if-none-match': tag });
      expect([changed.status, changed.body.title]).to.deep.equal([200, 'Other']);
    });
  }

  it('If-None-Match does not hide that a task is gone', async () => {
    const { path, tag } = await create('gone');
    await system.request('DELETE', path);
    expectProblem(await get(path, { 'if-none-match': tag }), 404, 'not_found');
    expectProblem(await get(path, { 'if-none-match': '*' }), 404, 'not_found');
  });

  const writes: [method: string, body: object | undefined][] = [
    ['PUT', { title: 'Mine' }],
    ['PATCH', { title: 'Mine' }],
    ['DELETE', undefined],
  ];
  for (const [method, body] of writes) {
    it(`${method} with If-Match: 412 and no change unless the tag is the task's`, async () => {
      const { path, tag } = await create('guarded');
      const theirs = await system.request('PATCH', path, { title: 'Theirs' });
      const current = theirs.headers.get('etag') ?? '';
      for (const refused of [tag, `W/${tag}`, '""', '"-gzip"', '', theirs.body.seq.toString()]) {
        const answer = await system.request(method, path, body, { 'if-match': refused });
        expectProblem(answer, 412, 'precondition_failed');
        expect(answer.headers.get('etag')).to.equal(current);
      }
      expect((await get(path)).body).to.deep.equal(theirs.body);
      const answer = await system.request(method, path, body, { 'if-match': `${tag}, ${current}` });
      expect(answer.status).to.equal(200);
    });

    for (const change of COMPRESSED) {
      it(`${method} with an If-Match that a proxy has made ${change('7')} compares the seq in it`, async () => {
        const { path, tag, answer } = await create('compressed');
        const seq = String(answer.body.seq);
        const stale = await system.request(method, path, body, { 'if-match': change(`${seq}0`) });
        expectProblem(stale, 412, 'precondition_failed');
        const known = await system.request('GET', path, undefined, { 'if-none-match': change(seq) });
        expect([known.status, known.headers.get('etag')]).to.deep.equal([304, tag]);
        expect((await system.request(method, path, body, { 'if-match': `"0", ${change(seq)}` })).status).to.equal(200);
      });
    }

    it(`${method} with If-None-Match: 412 and no change where it names the task, or any`, async () => {
      const { path, tag } = await create('new');
      const { body: before } = await get(path);
      const cases: Record<string, RegExp> = {
        [tag]: /^The task has the ETag "\d+", which If-None-Match lists; nothing was changed\.$/,
        [`"0", W/${tag}`]: /which If-None-Match lists/,
        '*': /^The task exists, and If-None-Match: \* asks that it does not; nothing was changed\.$/,
      };
      for (const [header, detail] of Object.entries(cases)) {
        const answer = await system.request(method, path, body, { 'if-none-match': header });
        expectProblem(answer, 412, 'precondition_failed');
        expect(answer.body.detail).to.match(detail);
        expect(answer.headers.get('etag')).to.equal(tag);
      }
      expect((await get(path)).body).to.deep.equal(before);
      const both = await system.request(method, path, body, { 'if-match': '"0"', 'if-none-match': '*' });
      expect(both.body.detail, 'If-Match comes first').to.include('If-Match does not list');
      const unknown = await system.request(method, `/api/tasks/${newId('none')}`, body, { 'if-none-match': '*' });
      expectProblem(unknown, 404, 'not_found');
      const answer = await system.request(method, path, body, { 'if-match': tag, 'if-none-match': '"0", W/"1"' });
      expect(answer.status).to.equal(200);
    });

    it(`${method} with If-Match: * writes a task that is there; what is not there stays 404`, async () => {
      const { path } = await create('any');
      expect((await system.request(method, path, body, { 'if-match': '*' })).status).to.equal(200);
      const unknown = await system.request(method, `/api/tasks/${newId('none')}`, body, { 'if-match': '"1"' });
      expectProblem(unknown, 404, 'not_found');
    });
  }

  it('a deleted task is brought back at its own tag only', async () => {
    const { path, tag } = await create('tombstone');
    const { seq } = (await system.request('DELETE', path)).body.task;
    const restore = (match: string) => system.request('PATCH', path, { deleted: false }, { 'if-match': match });
    expectProblem(await restore(tag), 412, 'precondition_failed');
    expectProblem(await restore('*'), 412, 'precondition_failed');
    expect((await restore(`"${seq}"`)).status).to.equal(200);
  });

  it('a deleted task is brought back with If-None-Match: *, because there is none that can be read', async () => {
    const { path } = await create('restored');
    const { seq } = (await system.request('DELETE', path)).body.task;
    const restore = (none: string) => system.request('PATCH', path, { deleted: false }, { 'if-none-match': none });
    expectProblem(await restore(`"${seq}"`), 412, 'precondition_failed');
    expect((await restore('*')).status).to.equal(200);
    expectProblem(await restore('*'), 412, 'precondition_failed');
  });

  it('HEAD is answered like GET', async () => {
    const { path, tag } = await create('head');
    const head = (none: string) => system.request('HEAD', path, undefined, { 'if-none-match': none });
    expect([(await head(tag)).status, (await head('*')).status, (await head('"0"')).status]).to.deep.equal([
      304, 304, 200,
    ]);
  });

  it('of writers that race from the same state exactly one wins', async () => {
    const { path, tag } = await create('race');
    const titles = ['a', 'b', 'c', 'd', 'e', 'f'];
    const answers = await Promise.all(
      titles.map((title) => system.request('PATCH', path, { title }, { 'if-match': tag })),
    );
    const winners = answers.filter(({ status }) => status === 200);
    expect(winners).to.have.length(1);
    expect(answers.filter(({ status }) => status === 412)).to.have.length(5);
    expect((await get(path)).body.title).to.equal(winners[0]?.body.title);
  });

  it("a device's batch changes the tag as well", async () => {
    const { path, tag, answer } = await create('pushed');
    await system.push([createItem(answer.body.id, { title: 'Pushed' })]);
    expectProblem(
      await system.request('PUT', path, { title: 'Mine' }, { 'if-match': tag }),
      412,
      'precondition_failed',
    );
  });

  it('POST knows no conditions: an id that exists is 409, one that does not is made, whatever If-None-Match says', async () => {
    const { answer } = await create('taken');
    const again = await system.request(
      'POST',
      '/api/tasks',
      { id: answer.body.id, title: 'T' },
      { 'if-none-match': '*' },
    );
    expectProblem(again, 409, 'already_exists');
    const made = await system.request('POST', '/api/tasks', { title: 'T' }, { 'if-none-match': '*' });
    expect(made.status).to.equal(201);
  });
});
