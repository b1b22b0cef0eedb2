// Group commit: what is submitted under one key while a run is under way gathers, and the next run serves it all. There is no timer: what
// comes alone is served at once. Under load groups grow by themselves, and with them falls the cost of what a run costs once.

export interface GroupLimits<Job> {
  /** The most that one run may serve; a single job that is larger goes alone. */
  max: number;
  /** What a job counts against it. */
  sizeOf: (job: Job) => number;
}

interface Group<Job, Answer> {
  jobs: Job[];
  size: number;
  answer: Promise<Answer>;
}

/**
 * @param run serves all jobs gathered under a key, in the order of their submission; what it throws reaches each of them
 * @returns a function that adds one job and resolves with the answer of the run that served it
 */
export function createGroupCommit<Job, Answer>(
  run: (key: string, jobs: Job[]) => Promise<Answer>,
  { max, sizeOf }: GroupLimits<Job> = { max: Number.POSITIVE_INFINITY, sizeOf: () => 1 },
) {
  const running = new Map<string, Promise<unknown>>();
  const gathering = new Map<string, Group<Job, Answer>>();

  return function submit(key: string, job: Job): Promise<Answer> {
    const size = sizeOf(job);
    const open = gathering.get(key);
    if (open !== undefined && open.size + size <= max) {
      open.jobs.push(job);
      open.size += size;
      return open.answer;
    }
    const jobs = [job];
    const previous = running.get(key) ?? Promise.resolve();
    const answer = previous.then(() => {
      if (gathering.get(key)?.jobs === jobs) gathering.delete(key);
      return run(key, jobs);
    });
    gathering.set(key, { jobs, size, answer });
    const settled = answer.then(
      () => undefined,
      () => undefined,
    );
    running.set(key, settled);
    void settled.then(() => {
      if (running.get(key) === settled) running.delete(key);
    });
    return answer;
  };
}
