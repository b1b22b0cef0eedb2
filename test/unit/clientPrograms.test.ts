// Which psql or pg_dump is run on which server.
import { expect } from 'chai';
import { chooseProgram } from '../../scripts/clientPrograms.js';

const programs = (...majors: number[]) => majors.map((major) => ({ file: `/bin/${major}`, major }));

describe('a client of PostgreSQL 18', () => {
  for (const name of ['psql', 'pg_dump'] as const) {
    it(`is the ${name} of that version or the next later one`, () => {
      expect(chooseProgram(name, programs(15, 19, 18), 18)).to.deep.equal({ file: '/bin/18' });
      expect(chooseProgram(name, programs(20, 15, 19), 18)).to.deep.equal({ file: '/bin/19' });
    });

    it(`is said to be missing where there is no ${name}, with the package that has it`, () => {
      const { file, problem } = chooseProgram(name, [], 18);
      expect(file).to.equal(undefined);
      expect(problem).to.match(new RegExp(`There is no ${name} here: .*postgresql-client-18.*PGDG`));
    });
  }

  it('is an older psql with a warning: it connects all the same', () => {
    const { file, problem } = chooseProgram('psql', programs(13, 15), 18);
    expect(file).to.equal('/bin/15');
    expect(problem).to.match(/^psql 15 is older than the database, PostgreSQL 18: .*postgresql-client-18/);
  });

  it('is no older pg_dump, which would refuse the server', () => {
    const { file, problem } = chooseProgram('pg_dump', programs(13, 15), 18);
    expect(file).to.equal(undefined);
    expect(problem).to.match(/^pg_dump 15 is too old: .*wants pg_dump 18 or later.*postgresql-client-18/);
  });
});
