// What two texts have in common, word by word.

const LARGEST = 9e6; // cells of a table; beyond that it would be felt

// The longest common subsequence of two lists, as ["", word] of both, ["del", word] of the first and ["ins", word] of the
// second alone, in order; null where they are too long.  What begins or ends alike needs no table.
export function diff(a, b, largest = LARGEST) {
  let head = 0;
  let tail = 0;
  const least = Math.min(a.length, b.length);
  while (head < least && a[head] === b[head]) head++;
  while (tail < least - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const ends = [a.length - tail, b.length - tail];
  const width = ends[1] - head + 1;
  if ((ends[0] - head + 1) * width > largest) return null;
  const table = new Uint16Array((ends[0] - head + 1) * width);
  const at = (i, j) => (i - head) * width + j - head;
  for (let i = ends[0] - 1; i >= head; i--) {
    for (let j = ends[1] - 1; j >= head; j--) {
      table[at(i, j)] = a[i] === b[j] ? table[at(i + 1, j + 1)] + 1 : Math.max(table[at(i + 1, j)], table[at(i, j + 1)]);
    }
  }
  const found = a.slice(0, head).map((word) => ["", word]);
  let [i, j] = [head, head];
  while (i < ends[0] || j < ends[1]) {
    if (i < ends[0] && j < ends[1] && a[i] === b[j]) {
      found.push(["", a[i++]]);
      j++;
    } else if (j < ends[1] && (i === ends[0] || table[at(i, j + 1)] > table[at(i + 1, j)])) found.push(["ins", b[j++]]);
    else found.push(["del", a[i++]]);
  }
  return found.concat(a.slice(ends[0]).map((word) => ["", word]));
}
