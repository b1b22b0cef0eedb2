// The addresses that an api really has, read out of the running Express application, so that a new route is fuzzed without anybody
// thinking of it; with the joi schemas that its routes check with.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { appRoutes } from '@bull-board/api/dist/routes.js';
import type Joi from 'joi';
import { DASHBOARD_PATH } from '../../../src/api/dashboard.js';
import { changesQuery } from '../../../src/api/routes/changes.js';
import { historyQuery } from '../../../src/api/routes/operations.js';
import { queueQuery } from '../../../src/api/routes/queue.js';
import { streamQuery } from '../../../src/api/routes/stream.js';
import { createBody, listQuery, patchBody, replaceBody } from '../../../src/api/routes/tasks.js';
import { socketQuery } from '../../../src/api/socket.js';

export interface Route {
  /** Upper case. */
  methods: string[];
  /** With parameters as in `/api/tasks/:id`. */
  path: string;
}

/** What a route's query and body are checked with, by method and path. The batch checks each of its items, see fuzzRequests. */
export const ROUTE_SCHEMAS: Record<string, { query?: Joi.Schema; body?: Joi.Schema }> = {
  'GET /api/tasks': { query: listQuery },
  'POST /api/tasks': { body: createBody },
  'PUT /api/tasks/:id': { body: replaceBody },
  'PATCH /api/tasks/:id': { body: patchBody },
  'GET /api/tasks/:id/history': { query: historyQuery },
  'GET /api/sync/queue': { query: queueQuery },
  'GET /api/sync/changes': { query: changesQuery },
  'GET /api/sync/stream': { query: streamQuery },
  'GET /api/sync/ws': { query: socketQuery },
};

/** A layer of Express's router, as far as it is read here. */
interface Layer {
  rawPath?: unknown;
  route?: { path: unknown; methods: Record<string, boolean> };
  handle?: { stack?: Layer[] };
}

/**
 * Reads the routes of the api that runs in this process.
 * @param url its address; it is asked once, because a request shows the application that answers it
 */
export async function readRouteTable(url: string): Promise<Route[]> {
  let layers: Layer[] | undefined;
  const look = (message: unknown) => {
    layers ??= findLayers(message, Number(new URL(url).port));
  };
  subscribe('http.server.request.start', look);
  try {
    await (await fetch(url, { headers: { connection: 'close' } })).text();
  } finally {
    unsubscribe('http.server.request.start', look);
  }
  if (layers === undefined) throw new Error(`no Express application answers at ${url} in this process`);
  return [...readLayers(layers, ''), ...dashboardRoutes()];
}

function findLayers(message: unknown, port: number): Layer[] | undefined {
  const { server, request } = Object(message);
  if (Object(server?.address()).port !== port) return undefined;
  // Express gives each request its application.
  const stack: unknown = request?.app?.router?.stack;
  return Array.isArray(stack) ? stack : undefined;
}

function readLayers(layers: Layer[], prefix: string): Route[] {
  return layers.flatMap((layer) => {
    const { route, handle } = layer;
    if (route !== undefined) {
      const methods = Object.keys(route.methods).filter((method) => method !== '_all');
      return [{ methods: methods.map((method) => method.toUpperCase()), path: `${prefix}${route.path}` }];
    }
    const below = typeof layer.rawPath === 'string' && layer.rawPath !== '/' ? layer.rawPath : '';
    return handle?.stack === undefined ? [] : readLayers(handle.stack, prefix + below);
  });
}

/** Bull Board mounts a whole application, whose inside Express does not show; it exports its table. */
function dashboardRoutes(): Route[] {
  const all = [appRoutes.entryPoint, ...appRoutes.api];
  return all.map(({ method, route }) => ({
    methods: [method].flat().map((each) => each.toUpperCase()),
    path: `${DASHBOARD_PATH}${[route].flat()[0] ?? ''}`,
  }));
}
