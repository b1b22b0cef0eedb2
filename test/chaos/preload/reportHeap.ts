// Loaded by `node --expose-gc --import`, for the soak: on SIGUSR2 the process collects garbage and says what is left of its heap.
let reports = 0;
process.on('SIGUSR2', () => {
  reports += 1;
  if (typeof globalThis.gc === 'function') void globalThis.gc();
  process.stdout.write(`heap after collection ${reports}: ${process.memoryUsage().heapUsed}\n`);
});
