// Entry of `npm start`: everything on this machine, with one command.
import '../requireNode.js';

const { runAll } = await import('./runAll.js');
await runAll();
