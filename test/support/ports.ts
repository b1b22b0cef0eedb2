// A port of this machine that nobody uses now, for a server that a test starts.
export { findFreePort as freePort } from '../../src/embedded/ports.js';
