// What stands between a device and the server: it passes everything on, or loses answers, or answers itself, as networks and proxies do.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse, request as sendRequest } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { forgetCleanup, registerCleanup } from './cleanup.js';

/** What happens to a request: the server gets it and its answer is lost or never comes, or the device gets this answer and the server nothing. */
export type Fault = 'answer lost' | 'answer held' | { status: number; headers?: Record<string, string>; body?: string };

export interface BadNetwork {
  url: string;
  /** Paths and bodies of the requests that came, without those of CORS. */
  seen: { path: string; body: string }[];
  /** Where requests go from now on; those that are open are cut. */
  connectTo(url: string): void;
  /** The next requests whose path begins like this meet these faults, one each. */
  spoil(path: string, ...faults: Fault[]): void;
  /** Requests are cut from now on, or no longer. */
  cut(isCut: boolean): void;
  close(): Promise<void>;
}

export async function startBadNetwork(targetUrl: string): Promise<BadNetwork> {
  let target = targetUrl;
  let isCut = false;
  let faults: { path: string; fault: Fault }[] = [];
  const open = new Set<Socket>();
  const seen: BadNetwork['seen'] = [];

  function takeFault(path: string): Fault | undefined {
    const index = faults.findIndex((each) => path.startsWith(each.path));
    const fault = faults[index]?.fault;
    faults = faults.filter((_, n) => n !== index);
    return fault;
  }

  async function pass(incoming: IncomingMessage, outgoing: ServerResponse) {
    const path = incoming.url ?? '/';
    const body = await readAll(incoming);
    const isPreflight = incoming.method === 'OPTIONS';
    if (!isPreflight) seen.push({ path, body: body.toString() });
    const fault = isPreflight ? undefined : takeFault(path);
    if (isCut) incoming.socket.destroy();
    else if (typeof fault === 'object') {
      outgoing.writeHead(fault.status, { 'Access-Control-Allow-Origin': '*', ...fault.headers }).end(fault.body);
    } else forward(incoming, outgoing, body, fault);
  }

  function forward(incoming: IncomingMessage, outgoing: ServerResponse, body: Buffer, fault?: Fault) {
    const { hostname, port } = new URL(target);
    const { method, url: path, headers } = incoming;
    const sent = sendRequest({ hostname, port, method, path, headers, agent: false }, (answer) => {
      if (fault === 'answer lost') answer.resume().once('end', () => incoming.socket.destroy());
      else if (fault === 'answer held') answer.resume();
      else answer.pipe(outgoing.writeHead(answer.statusCode ?? 500, answer.headers));
      answer.on('error', () => outgoing.destroy());
      outgoing.once('close', () => answer.destroy());
    });
    sent.on('error', () => incoming.socket.destroy());
    sent.end(body);
  }

  const server = createServer(
    (incoming, outgoing) => void pass(incoming, outgoing).catch(() => incoming.socket.destroy()),
  );
  server.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cutOpen = () => {
    for (const socket of open) socket.destroy();
  };
  const network: BadNetwork = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    connectTo(url) {
      target = url;
      cutOpen();
    },
    spoil: (path, ...added) => void faults.push(...added.map((fault) => ({ path, fault }))),
    cut(wanted) {
      isCut = wanted;
      if (isCut) cutOpen();
    },
    async close() {
      forgetCleanup(network);
      server.close();
      cutOpen();
      await once(server, 'close');
    },
  };
  registerCleanup(network, network.close);
  return network;
}

async function readAll(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  return Buffer.concat(chunks);
}
