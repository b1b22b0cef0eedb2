// Folders of their own for tests, below the folder of the run.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stopLeftovers } from '../../src/embedded/childRecords.js';
import { forgetCleanup, registerCleanup } from './cleanup.js';
import { requireRunFolder } from './environment.js';

export interface TestFolder {
  path: string;
  /** Stops what a launcher left running in it, and removes it. */
  remove(): Promise<void>;
}

export function createTestFolder(name: string): TestFolder {
  const path = mkdtempSync(join(requireRunFolder(), `${name}-`));
  // As a folder that a person makes: PostgreSQL may have to run as another user, which passes through here.
  chmodSync(path, 0o755);
  const folder: TestFolder = {
    path,
    remove: async () => {
      forgetCleanup(folder);
      await stopLeftovers(path, 2_000, () => undefined);
      rmSync(path, { recursive: true, force: true });
    },
  };
  registerCleanup(folder, folder.remove);
  return folder;
}
