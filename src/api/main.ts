// Entry of an api process: stateless, any number of them side by side.
import '../requireNode.js';

const { runApi } = await import('./runApi.js');
await runApi();
