// Entry of `npm run db:migrate`: migrates, then ends.
import './requireNode.js';

const { runMigration } = await import('./runMigration.js');
await runMigration();
