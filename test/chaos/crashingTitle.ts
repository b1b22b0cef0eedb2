// The title of the task whose operation ends the worker in scenario 17.
export const CRASHING_TITLE = 'ends the worker process';
