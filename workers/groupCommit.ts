// Group commit: jobs of one workspace that meet in this process share one run. While a run is under way, newcomers gather; the next
// run serves them all. There is no timer: a lone job runs at once.

interface Group<Job, Answer> {
  jobs: Job[];
  answer: Promise<Answer>;
}

/**
 * @param run serves all jobs gathered for a workspace; what it throws reaches each of them
 * @returns a function that adds one job and resolves with the answer of the run that served it
 */
export function createGroupCommit<Job, Answer>(run: (workspaceId: string, jobs: Job[]) => Promise<Answer>) {
  const running = new Map<string, Promise<unknown>>();
  const gathering = new Map<string, Group<Job, Answer>>();

  return function submit(workspaceId: string, job: Job): Promise<Answer> {
    const open = gathering.get(workspaceId);
    if (open !== undefined) {
      open.jobs.push(job);
      return open.answer;
    }
    const jobs = [job];
    const previous = running.get(workspaceId) ?? Promise.resolve();
    const answer = previous.then(() => {
      gathering.delete(workspaceId);
      return run(workspaceId, jobs);
    });
    gathering.set(workspaceId, { jobs, answer });
    const settled = answer.then(
      () => undefined,
      () => undefined,
    );
    running.set(workspaceId, settled);
    void settled.then(() => {
      if (running.get(workspaceId) === settled) running.delete(workspaceId);
    });
    return answer;
  };
}
