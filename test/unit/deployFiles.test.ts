// What the files for deploying promise, as far as it can be seen without a container engine: that they start what is built, share one
// set of addresses, and let workers be scaled.
import { existsSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { load, YAML11_SCHEMA } from 'js-yaml';
import { loadConfig } from '../../config/index.js';

const at = (file: string) => new URL(`../../../${file}`, import.meta.url);
const read = (file: string) => readFileSync(at(file), 'utf8');

/** Every command that runs an entry file, as its path below the root. */
const entriesIn = (text: string) => [...text.matchAll(/dist\/[\w/]+\.js/g)].map(([entry]) => entry);

interface Service {
  image?: string;
  build?: { args?: Record<string, string> };
  command?: string[];
  container_name?: string;
  ports?: string[];
  restart?: string;
  stop_grace_period?: string;
  environment?: Record<string, string>;
  healthcheck?: { test?: string[]; disable?: boolean };
  depends_on?: Record<string, { condition: string }>;
  volumes?: string[];
}

interface Compose {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
}

function isCompose(value: unknown): value is Compose {
  return typeof value === 'object' && value !== null && 'services' in value && 'volumes' in value;
}

/** YAML 1.1, because Compose reads merge keys. */
function readCompose(): Compose {
  const document = load(read('docker-compose.yml'), { schema: YAML11_SCHEMA });
  if (!isCompose(document)) throw new Error('docker-compose.yml has no services or no volumes');
  return document;
}

const compose = readCompose();

function service(name: string): Service {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return found;
}

describe('Procfile, Dockerfile and docker-compose.yml', () => {
  it('run files that the build makes', () => {
    const entries = ['Procfile', 'Dockerfile', 'docker-compose.yml'].flatMap((file) => entriesIn(read(file)));
    expect(new Set(entries)).to.deep.equal(
      new Set(['dist/src/api/main.js', 'dist/workers/main.js', 'dist/src/migrate.js']),
    );
    for (const entry of entries) expect(existsSync(at(entry)), entry).to.equal(true);
  });
});

describe('Procfile', () => {
  it('has a web, a worker and a release process', () => {
    const names = [...read('Procfile').matchAll(/^(\w+): node \S+$/gm)].map(([, name]) => name);
    expect(names).to.deep.equal(['web', 'worker', 'release']);
  });
});

describe('Dockerfile', () => {
  const dockerfile = read('Dockerfile');
  const image = dockerfile.slice(dockerfile.lastIndexOf('FROM '));

  it('copies only what production needs into the image, and runs as another user than root', () => {
    const copied = [...image.matchAll(/^COPY (?:--from=\w+ )?(\S+)/gm)].map(([, from]) => from);
    expect(copied).to.deep.equal([
      '/app/node_modules',
      '/app/dist/config',
      '/app/dist/src',
      '/app/dist/workers',
      'package.json',
    ]);
    expect(dockerfile).to.include('npm ci --omit=dev --omit=optional');
    expect(image).to.match(/^USER node$/m);
    expect(image).to.match(/^HEALTHCHECK /m);
  });

  it('stands on the Node that CI tests, which can be pinned by its digest, in each stage', () => {
    const [, image = ''] = dockerfile.match(/^ARG NODE_IMAGE=(\S+)$/m) ?? [];
    expect(image).to.match(/^node:24-bookworm-slim(@sha256:[0-9a-f]{64})?$/);
    const stages = [...dockerfile.matchAll(/^FROM (\S+)(?: AS (\w+))?$/gm)].map(([, from, name]) => [from, name]);
    const argument = '$'.concat('{NODE_IMAGE}');
    expect(stages).to.deep.equal([
      [argument, 'build'],
      [argument, 'dependencies'],
      [argument, undefined],
    ]);
    expect(compose.services.api?.build?.args?.NODE_IMAGE).to.equal(`\${NODE_IMAGE:-${image}}`);
    const { engines } = JSON.parse(read('package.json'));
    expect(engines.node).to.equal('>=20.19');
    expect(read('.ci/run')).to.match(/^for major in 20 24; do$/m);
  });

  it('finds each file it copies, and the .dockerignore does not hide it', () => {
    const build = dockerfile.slice(0, dockerfile.lastIndexOf('FROM '));
    const sources = [...build.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, from = '']) => from.split(' '));
    const ignored = read('.dockerignore').split('\n');
    expect(sources).to.include('package-lock.json');
    for (const source of sources) {
      expect(existsSync(at(source)), source).to.equal(true);
      expect(ignored).not.to.include(source);
    }
  });

  it('keeps secrets, data and the host’s modules out of the build', () => {
    expect(read('.dockerignore').split('\n')).to.include.members(['.git', '.env', '.data*', 'node_modules', 'dist']);
  });
});

describe('docker-compose.yml', () => {
  const ours = ['migrate', 'api', 'worker'];

  it('has the two servers, the migration, the api and the worker', () => {
    expect(Object.keys(compose.services)).to.deep.equal(['postgres', 'redis', ...ours]);
  });

  it('gives each part settings that are valid, and all of them the same addresses', () => {
    const addresses = ours.map((name) => {
      const { environment = {} } = service(name);
      const { database, queue } = loadConfig({ ...environment, DATABASE_URL: withDefaults(environment.DATABASE_URL) });
      return [database.url, queue.redisUrl];
    });
    for (const each of addresses) {
      expect(each).to.deep.equal(['postgres://task_sync:task-sync@postgres:5432/task_sync', 'redis://redis:6379']);
    }
  });

  it('gives PostgreSQL the user, password and database of that address', () => {
    const { environment = {} } = service('postgres');
    expect({ ...environment, POSTGRES_PASSWORD: withDefaults(environment.POSTGRES_PASSWORD) }).to.deep.equal({
      POSTGRES_USER: 'task_sync',
      POSTGRES_DB: 'task_sync',
      POSTGRES_PASSWORD: 'task-sync',
    });
  });

  it('runs Redis with an append-only file and without eviction', () => {
    expect(service('redis').command?.join(' ')).to.match(/--appendonly yes .*--maxmemory-policy noeviction/);
  });

  it('keeps the data of both servers in volumes that it declares', () => {
    for (const name of ['postgres', 'redis']) {
      const [volume = ''] = service(name).volumes ?? [];
      expect(Object.keys(compose.volumes)).to.include(volume.split(':')[0]);
    }
  });

  it('migrates once before api and worker start', () => {
    expect(service('migrate').restart).to.equal('no');
    for (const name of ['api', 'worker']) {
      expect(service(name).depends_on?.migrate?.condition).to.equal('service_completed_successfully');
    }
  });

  it('lets workers be scaled: no fixed name, no port of the host', () => {
    expect(service('worker')).not.to.have.any.keys('container_name', 'ports');
  });

  it('publishes nothing but the api, and that on the loopback address unless told otherwise', () => {
    const published = Object.values(compose.services).flatMap(({ ports = [] }) => ports);
    expect(published.map(withDefaults)).to.deep.equal(['127.0.0.1:5000:5000']);
  });

  it('asks each running part for its health, on the port where it answers', () => {
    expect(service('api').healthcheck?.test?.join(' ')).to.include(`:${service('api').environment?.PORT}/health/ready`);
    const { environment, healthcheck } = service('worker');
    expect(healthcheck?.test?.join(' ')).to.include(`:${environment?.WORKER_HEALTH_PORT}/health/ready`);
    for (const name of ['postgres', 'redis']) expect(service(name).healthcheck?.test).to.be.an('array');
  });

  it('restarts what crashed, and gives each process time to stop in order', () => {
    for (const name of ['postgres', 'redis', 'api', 'worker']) {
      expect(service(name).restart, name).to.equal('unless-stopped');
    }
    for (const name of ['api', 'worker']) {
      const graceS = Number.parseInt(service(name).stop_grace_period ?? '', 10);
      expect(graceS * 1_000).to.be.above(loadConfig({}).shutdownTimeoutMs);
    }
  });
});

/** What Compose makes of ${NAME:-default} where NAME is not set. */
function withDefaults(text = ''): string {
  return text.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1');
}
