// The system's nginx with the sample of deploy/nginx, on loopback and on ports of the test's own, with a certificate of its own making.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { forgetCleanup, registerCleanup } from './cleanup.js';
import { runnerEnvironment } from './environment.js';
import { createTestFolder } from './folders.js';
import { freePort } from './ports.js';
import { eventually } from './system.js';

const SAMPLE = fileURLToPath(new URL('../../../deploy/nginx/task-sync.conf', import.meta.url));
/** Debian keeps nginx where only root's PATH looks. */
const FOLDERS = [...(runnerEnvironment.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/sbin'];

export interface Nginx {
  /** https://localhost:port, the sample. */
  url: string;
  /** https://localhost:port/sync, the same apis below a path that is taken away. */
  prefixedUrl: string;
  /** What `nginx -t` said. */
  checked: string;
  stop(): Promise<void>;
}

/** Where a program is; undefined where it is not installed. */
export function findProgram(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Starts it in front of apis. @param apis their addresses */
export async function startNginx(program: string, apis: readonly string[]): Promise<Nginx> {
  const folder = createTestFolder('nginx');
  const [port, plainPort, prefixedPort] = [await freePort(), await freePort(), await freePort()];
  makeCertificate(folder.path);
  const sample = adapt(readFileSync(SAMPLE, 'utf8'), folder.path, apis, port, plainPort);
  writeFileSync(join(folder.path, 'task-sync.conf'), sample);
  const file = join(folder.path, 'nginx.conf');
  writeFileSync(file, wrap(folder.path, prefixedPort));
  for (const name of ['body', 'proxy', 'other']) mkdirSync(join(folder.path, name));
  const parameters = ['-p', folder.path, '-c', file, '-e', join(folder.path, 'error.log')];
  const checked = spawnSync(program, ['-t', ...parameters], { encoding: 'utf8' });
  if (checked.status !== 0) throw new Error(`nginx -t: ${checked.stderr}`);
  const child = spawn(program, parameters, { stdio: 'ignore' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const nginx: Nginx = {
    url: `https://localhost:${port}`,
    prefixedUrl: `https://localhost:${prefixedPort}/sync`,
    checked: checked.stderr,
    async stop() {
      forgetCleanup(nginx);
      child.kill('SIGTERM');
      await ended;
      await folder.remove();
    },
  };
  registerCleanup(nginx, nginx.stop);
  await eventually(() => isOpen(port));
  return nginx;
}

/** The sample with what a machine's owner puts in; each replacement has to find its line. */
function adapt(sample: string, folder: string, apis: readonly string[], port: number, plainPort: number): string {
  const servers = apis.map((api) => `server ${new URL(api).host} max_fails=0;`).join('\n');
  const changes: [RegExp, string][] = [
    [/server 127\.0\.0\.1:5000 max_fails=0;\s+server 127\.0\.0\.1:5001 max_fails=0;/, servers],
    [/listen 443 ssl http2;/, `listen 127.0.0.1:${port} ssl http2;`],
    [/listen 80;/, `listen 127.0.0.1:${plainPort};`],
    [/\/etc\/ssl\/sync\.example\.com\/fullchain\.pem/, join(folder, 'certificate.pem')],
    [/\/etc\/ssl\/sync\.example\.com\/privkey\.pem/, join(folder, 'key.pem')],
  ];
  return changes.reduce((text, [line, own]) => {
    if (!line.test(text)) throw new Error(`the sample of nginx has no line like ${line}`);
    return text.replace(line, own);
  }, sample);
}

/** What stands around a file of conf.d; one process, so that ending it ends all. The second server is what people write by hand. */
function wrap(folder: string, prefixedPort: number): string {
  return `daemon off;
master_process off;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/other;
  uwsgi_temp_path ${folder}/other;
  scgi_temp_path ${folder}/other;
  include ${folder}/task-sync.conf;
  server {
    listen 127.0.0.1:${prefixedPort} ssl;
    ssl_certificate ${folder}/certificate.pem;
    ssl_certificate_key ${folder}/key.pem;
    location /sync/ {
      proxy_pass http://task_sync/;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }
  }
}
`;
}

function makeCertificate(folder: string): void {
  const parameters =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem -out certificate.pem -subj /CN=localhost';
  const { status, stderr } = spawnSync('openssl', parameters.split(' '), { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl made no certificate: ${stderr}`);
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
