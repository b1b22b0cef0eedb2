// Makes examples/offline-day.json from a fixed seed: `npm run demo:record`.
// With --check it writes nothing and fails when the committed file is not what the seed gives.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { formatRecording, recordingPath } from './demo/recording.js';
import { simulateDay } from './demo/simulateDay.js';

const SEED = 20_260_312;

const recording = simulateDay(SEED);
const text = formatRecording(recording);
const name = relative(process.cwd(), recordingPath);
const operations = recording.batches.reduce((sum, batch) => sum + batch.request.items.length, 0);

if (!process.argv.includes('--check')) {
  writeFileSync(recordingPath, text);
  process.stdout.write(`${name}: ${operations} operations in ${recording.batches.length} batches, seed ${SEED}.\n`);
} else if (existsSync(recordingPath) && readFileSync(recordingPath, 'utf8') === text) {
  process.stdout.write(`${name} is what seed ${SEED} gives.\n`);
} else {
  process.stdout.write(`${name} is not what seed ${SEED} gives. Run \`npm run demo:record\` and commit the file.\n`);
  process.exitCode = 1;
}
