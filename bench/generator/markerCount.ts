// Counting rows in the bytes of an answer, by something that stands in each of them once.

/** Counts a marker in chunks; one that lies across two of them counts with the second. */
export function createMarkerCount(marker: string): (chunk: Buffer) => number {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const seam =
      marker.length === 1 || rest.length === 0
        ? Buffer.alloc(0)
        : Buffer.concat([rest, chunk.subarray(0, marker.length - 1)]);
    const found = countIn(seam, marker) + countIn(chunk, marker);
    rest = marker.length === 1 ? rest : Buffer.concat([rest, chunk]).subarray(-(marker.length - 1));
    return found;
  };
}

function countIn(chunk: Buffer, marker: string): number {
  let count = 0;
  for (let at = chunk.indexOf(marker); at >= 0; at = chunk.indexOf(marker, at + marker.length)) count += 1;
  return count;
}
