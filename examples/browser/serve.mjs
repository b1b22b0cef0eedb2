// Serves the files beside it: node serve.mjs [port]. Any web server will do; what matters is that CORS_ORIGIN of Task Sync lists its origin.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const TYPES = {
  '/index.html': 'text/html',
  '/page.js': 'text/javascript',
  '/store.js': 'text/javascript',
  '/taskSync.js': 'text/javascript',
};

const server = createServer(async (request, response) => {
  const path = request.url.split('?')[0].replace(/\/$/, '/index.html');
  if (!(path in TYPES)) return response.writeHead(404).end();
  const file = await readFile(new URL(`.${path}`, import.meta.url));
  response.writeHead(200, { 'Content-Type': `${TYPES[path]}; charset=utf-8`, 'Cache-Control': 'no-cache' }).end(file);
});
server.listen(Number(process.argv[2] ?? 8080), 'localhost', () => {
  process.stdout.write(`http://localhost:${server.address().port}\n`);
});
