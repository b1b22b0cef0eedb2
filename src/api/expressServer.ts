// An HTTP server whose requests and responses are born with the prototypes that Express wants. Express changes the prototype of each of
// them when it arrives, and V8 then takes the slow way for every later access to them: a small POST with a JSON body and answer cost 168 us of CPU
// that way, 50 with the prototypes in place from the start, 28 without Express (Node 20, body-parser in all three). Express finds nothing to
// change here; its methods, its order and its documentation stay as they are.
import { createServer, IncomingMessage, type Server, type ServerOptions, ServerResponse } from 'node:http';
import type { Express } from 'express';
import { serveInTurn } from './inTurn.js';

/** Creates the server of an application; it does not listen yet. One application has one server: the classes are its own. */
export function createExpressServer(options: ServerOptions, app: Express): Server {
  class AppRequest extends IncomingMessage {}
  class AppResponse extends ServerResponse {}
  adopt(AppRequest.prototype, app.request);
  Object.defineProperty(AppRequest.prototype, 'upgrade', upgradeProperty);
  adopt(AppResponse.prototype, app.response);
  // What Express compares with: setting the prototype that an object has already changes nothing.
  Object.assign(app, { request: AppRequest.prototype, response: AppResponse.prototype });
  return createServer({ ...options, IncomingMessage: AppRequest, ServerResponse: AppResponse }, serveInTurn(app));
}

const IS_UPGRADE_WANTED = Symbol('is upgrade wanted');

/**
 * Node hands every request with an `Upgrade` header to the one listener for upgrades, its body unread, whatever it wants to become. Here
 * only a WebSocket is one; for Node any other is a request like those without the header, as RFC 9110, 7.8, allows: Java's HttpClient and
 * curl --http2 ask for h2c with their first request. (Node 24.9 has `shouldUpgradeCallback` for this; 20 has not.) What a client sends
 * behind such a request without waiting for its answer may be lost: it cannot know which protocol it would be in.
 */
const upgradeProperty: PropertyDescriptor & ThisType<IncomingMessage & { [IS_UPGRADE_WANTED]?: boolean | null }> = {
  get() {
    return this[IS_UPGRADE_WANTED] === true && (this.method === 'CONNECT' || isWebSocketUpgrade(this));
  },
  set(isWanted: boolean | null) {
    this[IS_UPGRADE_WANTED] = isWanted;
  },
};

function isWebSocketUpgrade({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.trim().toLowerCase() === 'websocket';
}

/** Gives `target` what `source` has: `app` of its own, and the methods of Express's prototype behind it. */
function adopt(target: object, source: object) {
  for (const prototype of [Object.getPrototypeOf(source), source]) {
    Object.defineProperties(target, Object.getOwnPropertyDescriptors(prototype));
  }
}
