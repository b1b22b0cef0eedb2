// Entry of a worker process; any number of them share the work.
import '../src/requireNode.js';

const { runWorker } = await import('./runWorker.js');
await runWorker();
