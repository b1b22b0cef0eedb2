// Lists that end where they are long enough: a page is bounded in bytes as well as in items (I8), and says with its link where it goes on.

export interface JsonPage {
  /** A JSON array. */
  json: string;
  /** How many of the items stand in it. */
  count: number;
}

/** Writes items as long as they fit into `limitBytes`, at least one. */
export function writePage<Item>(items: readonly Item[], present: (item: Item) => object, limitBytes: number): JsonPage {
  const texts: string[] = [];
  let bytes = 0;
  for (const item of items) {
    const text = JSON.stringify(present(item));
    bytes += Buffer.byteLength(text) + 1;
    if (bytes > limitBytes && texts.length > 0) break;
    texts.push(text);
  }
  return { json: `[${texts.join(',')}]`, count: texts.length };
}
