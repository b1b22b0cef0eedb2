// Loaded by `node --expose-gc --import`, for the soak: on SIGUSR2 the process collects garbage and says what is left of its heap.
process.on('SIGUSR2', () => {
  if (typeof globalThis.gc === 'function') void globalThis.gc();
  process.stdout.write(`heap after collection: ${process.memoryUsage().heapUsed}\n`);
});
