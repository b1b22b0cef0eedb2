// The plans of the statements that a piece of the product runs: each is explained just before it runs.
import { expect } from 'chai';
import { onStatement } from './statements.js';

interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows'?: number;
  'Actual Loops'?: number;
  'Rows Removed by Filter'?: number;
  Plans?: PlanNode[];
}

const flatten = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(flatten)];
const isScan = (node: PlanNode) => / Scan$/.test(node['Node Type']) && node['Node Type'] !== 'Function Scan';
const describeScan = (node: PlanNode) =>
  `${node['Node Type']} on ${node['Relation Name'] ?? node['Index Name']} (${rowsRead(node)} rows)`;

/** Rows that a scan looked at, kept or not; 0 where the statement was only planned. */
function rowsRead(node: PlanNode): number {
  const perLoop = (node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0);
  return Math.round(perLoop * (node['Actual Loops'] ?? 0));
}

/** Runs `work` and returns the plans of its statements; statements that only read are also measured. */
async function explain(work: () => Promise<unknown>): Promise<PlanNode[]> {
  const plans: PlanNode[] = [];
  const explanations: Promise<void>[] = [];
  const stop = onStatement((client, text, values) => {
    if (!/^\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b/.test(text)) return;
    const measure = /\b(INSERT|UPDATE|DELETE)\b/.test(text) ? '' : 'ANALYZE, TIMING OFF, ';
    // Sent before the statement on the same connection, so inside its transaction, and answered before it.
    const explained = client.query<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(
      `EXPLAIN (${measure}FORMAT JSON) ${text}`,
      values,
    );
    explanations.push(
      explained.then(({ rows }) => {
        const plan = rows[0]?.['QUERY PLAN'][0]?.Plan;
        if (plan !== undefined) plans.push(plan);
      }),
    );
  });
  try {
    await work();
  } finally {
    stop();
  }
  await Promise.all(explanations);
  expect(plans, 'something was explained').to.not.be.empty;
  return plans;
}

/**
 * Runs `work` and expects that no statement of it reads one of our tables from end to end.
 * @param mostRows how many rows its statements may look at, all scans together
 */
export async function expectIndexed(work: () => Promise<unknown>, mostRows: number) {
  const scans = (await explain(work)).flatMap(flatten).filter(isScan);
  const readable = scans.map(describeScan).join('; ');
  const ours = scans.filter((node) => /^(tasks|sync_queue|sync_batches)$/.test(node['Relation Name'] ?? ''));
  const sequential = ours.filter((node) => node['Node Type'] === 'Seq Scan');
  expect(sequential.map(describeScan), readable).to.deep.equal([]);
  const total = scans.reduce((sum, node) => sum + rowsRead(node), 0);
  expect(total, readable).to.be.at.most(mostRows);
}
