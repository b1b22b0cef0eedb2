// Pages that PostgreSQL cuts where they are long enough, so that neither it nor this process holds what would be left out (I8).

export interface Page<Row> {
  rows: Row[];
  /** Whether more follow. */
  hasMore: boolean;
}

/**
 * Columns of a subquery that holds one row more than a page: the number of each row, the bytes of all up to it, and how many were found. The
 * query around it takes the rows whose number is 1 or whose bytes fit, and not the surplus one.
 * @param size bytes of a row
 */
export function cutBy(size: string, order: string): string {
  return `row_number() OVER (ORDER BY ${order}) AS number, ${runningSum(size, order)} AS bytes, count(*) OVER () AS found`;
}

/** The bytes of a row and of those before it. */
export function runningSum(size: string, order: string): string {
  return `sum(${size}) OVER (ORDER BY ${order} ROWS UNBOUNDED PRECEDING)`;
}

/** Takes the rows of such a query. */
export function pageOf<Row extends object>(found: (Row & { found: number })[]): Page<Row> {
  return { rows: found, hasMore: (found[0]?.found ?? 0) > found.length };
}
