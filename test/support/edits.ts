// What the user of a simulated device does, and what it looks like before the server has answered.

export interface Edit {
  client_id: string;
  op_id: string;
  operation: 'create' | 'update' | 'delete';
  data: { id: string; title?: string; description?: string | null; completed?: boolean; updated_at: string };
}

export interface LocalTask {
  id: string;
  title: string;
  description: string | null;
  completed: boolean;
  deleted: boolean;
  seq: number;
}

/** A task with an edit on top, as its user sees it. */
export function applyEdit(task: LocalTask | undefined, { operation, data }: Edit): LocalTask | undefined {
  if (operation === 'delete') return task === undefined ? undefined : { ...task, deleted: true };
  if (operation === 'update' && task === undefined) return undefined;
  const { updated_at: _, ...fields } = data;
  return { title: '', description: null, completed: false, seq: 0, ...task, ...fields, deleted: false };
}

/** Mostly what makes sense on the task; sometimes an edit of what is not there, or a create of what is. */
export function pickOperation(task: LocalTask | undefined, chance: number): Edit['operation'] {
  if (task === undefined) return chance < 0.9 ? 'create' : 'update';
  if (task.deleted) return chance < 0.5 ? 'create' : 'update';
  if (chance < 0.15) return 'delete';
  return chance < 0.25 ? 'create' : 'update';
}
