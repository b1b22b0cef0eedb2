import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigError, loadConfig, requireDatabaseUrl } from '../../config/index.js';

const refusal = (env: NodeJS.ProcessEnv) => {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return 'accepted';
};

describe('configuration', () => {
  it('has a default for everything but the addresses', () => {
    const config = loadConfig({});
    expect(config).to.include({ environment: 'development', port: 5000, host: '127.0.0.1', bodyLimitBytes: 1_048_576 });
    expect(config.sync).to.deep.include({ batchSize: 50, transactionSize: 500, maxItems: 1_000, waitMs: 5_000 });
    expect(config.retry.maxRetries).to.equal(3);
    expect(config.database.url).to.equal(undefined);
  });

  it('listens to the world in production only', () => {
    expect(loadConfig({ NODE_ENV: 'production' }).host).to.equal('0.0.0.0');
    expect(loadConfig({ NODE_ENV: 'production', HOST: '127.0.0.1' }).host).to.equal('127.0.0.1');
  });

  it('takes an empty variable as one that is not set, and ignores strangers', () => {
    expect(loadConfig({ PORT: '', SHELL: '/bin/sh' }).port).to.equal(5000);
  });

  it('is frozen', () => {
    expect(Object.isFrozen(loadConfig({}))).to.equal(true);
    expect(Object.isFrozen(loadConfig({}).database)).to.equal(true);
  });

  it('says for each wrong setting what is wrong and what to do', () => {
    const message = refusal({ PORT: 'eighty', SYNC_BATCH_SIZE: '0' });
    expect(message).to.match(/PORT must be a number \(it is "eighty"\)\. Change PORT in the environment or in \.env\./);
    expect(message).to.match(/SYNC_BATCH_SIZE must be greater than or equal to 1/);
  });

  describe('CORS_ORIGIN', () => {
    for (const [given, origins] of [
      ['*', ['*']],
      ['https://app.example.com', ['https://app.example.com']],
      ['https://app.example.com/', ['https://app.example.com']],
      ['HTTPS://App.Example.com:443', ['https://app.example.com']],
      ['http://localhost:80,http://localhost:3000', ['http://localhost', 'http://localhost:3000']],
      [' https://a.example , https://b.example,', ['https://a.example', 'https://b.example']],
      ['https://b\u00fccher.example', ['https://xn--bcher-kva.example']],
      ['http://[::1]:3000', ['http://[::1]:3000']],
      ['http://192.0.2.7:8080', ['http://192.0.2.7:8080']],
      ['capacitor://localhost', ['capacitor://localhost']],
      ['tauri://localhost,http://tauri.localhost', ['tauri://localhost', 'http://tauri.localhost']],
      ['ionic://localhost', ['ionic://localhost']],
      ['app://obsidian.md', ['app://obsidian.md']],
      ['app://.', ['app://.']],
      ['chrome-extension://MFFFPOGEGJFLFPFLABCDKIOAOBKGJHPL', ['chrome-extension://mfffpogegjflfpflabcdkioaobkgjhpl']],
      [
        'moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc/',
        ['moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc'],
      ],
      ['file://', ['file://']],
      ['null', ['null']],
      ['https://a.example,https://a.example/', ['https://a.example']],
    ] as const) {
      it(`takes ${given} as what a browser sends: ${origins.join(' and ')}`, () => {
        expect(loadConfig({ CORS_ORIGIN: given }).browsers.corsOrigins).to.deep.equal(origins);
      });
    }

    for (const [given, why] of [
      ['https://*.example.com', /has a \*, which stands only for all origins; list each one/],
      ['https://a.example,*', /\* stands for all and goes alone/],
      ['https://app.example.com/tasks', /has more than scheme, host and port/],
      ['https://app.example.com//', /has more than/],
      ['https://app.example.com?x=1', /has more than/],
      ['https://me@app.example.com', /has more than/],
      ['capacitor://localhost/app', /has more than/],
      ['app.example.com', /does not begin with a scheme/],
      ['localhost:3000', /does not begin with a scheme/],
      ['https:app.example.com', /does not begin with a scheme/],
      ['//app.example.com', /does not begin with a scheme/],
      ['wss://app.example.com', /is not where pages come from/],
      ['https://', /is not an origin/],
      ['https://a b.example', /is not an origin/],
      ['https://a.example;https://b.example', /has more than|is not an origin/],
      ['https://a.example https://b.example', /has more than/],
      ['https://app.example.com:99999', /is not an origin/],
      ['app://loc al', /is not an origin/],
      [',', /names nothing/],
    ] as const) {
      it(`refuses ${given}, which no browser sends, with a sentence`, () => {
        expect(refusal({ CORS_ORIGIN: given }))
          .to.match(/^CORS_ORIGIN must be \* or origins like /)
          .and.to.match(why);
      });
    }
  });

  describe('ALLOWED_HOSTS', () => {
    for (const [given, hosts] of [
      ['*', ['*']],
      ['Sync.Example.com., .example.org', ['sync.example.com', '.example.org']],
      ['b\u00fccher.example', ['xn--bcher-kva.example']],
      ['192.0.2.7,[2001:DB8::0:1],2001:db8::2', ['192.0.2.7', '2001:db8::1', '2001:db8::2']],
      ['api', ['api']],
    ] as const) {
      it(`takes ${given}`, () => {
        expect(loadConfig({ ALLOWED_HOSTS: given }).browsers.allowedHosts).to.deep.equal(hosts);
      });
    }

    for (const [given, why] of [
      ['*.example.com', /is written \.example\.com here/],
      ['https://sync.example.com', /has a scheme or a path/],
      ['sync.example.com/x', /has a scheme or a path/],
      ['sync.example.com:5000', /has a port/],
      ['a b', /is not a host/],
      ['a,*', /goes alone/],
    ] as const) {
      it(`refuses ${given} with a sentence`, () => {
        expect(refusal({ ALLOWED_HOSTS: given }))
          .to.match(/^ALLOWED_HOSTS must be \* or hosts like /)
          .and.to.match(why);
      });
    }
  });

  it('never repeats a secret', () => {
    const message = refusal({ DATABASE_URL: 'mysql://user:hunter2@host/db', ADMIN_TOKEN: 'hunter2' });
    expect(message).to.match(/DATABASE_URL must start with postgres:\/\/ or postgresql:\/\//);
    expect(message).to.match(/ADMIN_TOKEN length must be at least 16/);
    expect(message).to.not.match(/hunter2/);
  });

  it('trusts the self-signed Redis certificates of Heroku, unless told otherwise', () => {
    expect(loadConfig({}).queue.verifyTls).to.equal(true);
    expect(loadConfig({ DYNO: 'web.1' }).queue.verifyTls).to.equal(false);
    expect(loadConfig({ DYNO: 'web.1', REDIS_TLS_VERIFY: 'true' }).queue.verifyTls).to.equal(true);
    expect(loadConfig({ REDIS_TLS_VERIFY: 'false' }).queue.verifyTls).to.equal(false);
  });

  it('says how to get a database where there is none', () => {
    expect(() => requireDatabaseUrl(loadConfig({}))).to.throw(ConfigError, /DATABASE_URL is not set.*npm start/);
  });

  it('refuses a misspelt sslmode, a database name for Redis, and one port for two processes', () => {
    expect(refusal({ DATABASE_URL: 'postgres://u:p@h/d?sslmode=verify_full' })).to.match(/unknown sslmode; use one of/);
    expect(refusal({ REDIS_URL: 'redis://h:6379/abc' })).to.match(/REDIS_URL ends with a database number/);
    expect(refusal({ PORT: '5001', WORKER_HEALTH_PORT: '5001' })).to.match(/WORKER_HEALTH_PORT must differ from PORT/);
  });

  const SECRETS: [what: string, env: NodeJS.ProcessEnv, expected: RegExp][] = [
    ['a bare %', { DATABASE_URL: 'postgres://u:hunter%2@h/d' }, /DATABASE_URL has a % that begins no.*% is %25/],
    ['a % that is no UTF-8', { DATABASE_URL: 'postgres://u:hunter2%ff@h/d' }, /DATABASE_URL has a %/],
    ['a bare % for Redis', { REDIS_URL: 'redis://:hunter2%@h' }, /REDIS_URL has a %/],
    ['a #', { DATABASE_URL: 'postgres://u:hunter2#@h/d' }, /DATABASE_URL is no address like.*# is %23/],
    ['several hosts', { DATABASE_URL: 'postgres://u:hunter2@a:1,b:2/d' }, /DATABASE_URL names several hosts/],
    ['verify-ca alone', { DATABASE_URL: 'postgres://u:hunter2@h/d?sslmode=verify-ca' }, /without sslrootcert/],
    ['a missing file', { DATABASE_URL: 'postgres://u:hunter2@h/d?sslrootcert=/none' }, /cannot be read \(ENOENT\)/],
  ];
  for (const [what, env, expected] of SECRETS) {
    it(`refuses an address with ${what} in a sentence that does not repeat it`, () => {
      expect(refusal(env)).to.match(expected).and.to.not.include('hunter');
    });
  }

  it('takes a password with a comma, and one whose % is encoded', () => {
    expect(loadConfig({ DATABASE_URL: 'postgres://u:a,b%25@h/d' }).database.url).to.include('a,b%25');
  });

  it('is completed from .env, also from one that begins with a byte order mark', () => {
    const folder = mkdtempSync(join(tmpdir(), 'task-sync-env-'));
    try {
      writeFileSync(join(folder, '.env'), '\uFEFFPORT=4321\r\nLOG_LEVEL="warn"\n');
      const script = `const { loadConfig } = await import(process.argv[1]);
        const { port, logLevel } = loadConfig();
        console.log(JSON.stringify({ port, logLevel }));`;
      const config = new URL('../../config/index.js', import.meta.url).href;
      const run = (env: NodeJS.ProcessEnv) =>
        JSON.parse(
          execFileSync(process.execPath, ['--input-type=module', '-e', script, config], {
            cwd: folder,
            env,
            encoding: 'utf8',
          }),
        );
      expect(run({})).to.deep.equal({ port: 4321, logLevel: 'warn' });
      // What the environment says is stronger than the file.
      expect(run({ PORT: '5678' })).to.deep.equal({ port: 5678, logLevel: 'warn' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
