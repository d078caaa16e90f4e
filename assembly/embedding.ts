/**
 * The model's input: x = embedding[byte] + position. The gradients are split by rows of the two tables, so that
 * each row is summed by one thread, in the order of the tokens.
 */
import { loadLanes, storeLanes } from "./lanes";

function add(x: usize, y: usize, to: usize, width: i32): void {
  for (let left = width, i: usize = 0; left > 0; left -= 4, i += 16) {
    storeLanes(to + i, f32x4.add(loadLanes(x + i, left), loadLanes(y + i, left)), left);
  }
}

/** One sequence. @param tokens [length] bytes @param x [length, width] written */
export function embeddingForward(
  tokens: usize,
  embedding: usize,
  position: usize,
  x: usize,
  length: i32,
  width: i32,
): void {
  const bytes = (<usize>width) << 2;
  for (let s: i32 = 0; s < length; s++, position += bytes, x += bytes) {
    add(embedding + <usize>load<u8>(tokens + s) * bytes, position, x, width);
  }
}

/** One sequence, and of the embedding the rows with row mod `threads` = `thread`. @param dEmbedding added to */
export function embeddingBackward(
  tokens: usize,
  dx: usize,
  dEmbedding: usize,
  length: i32,
  width: i32,
  thread: i32,
  threads: i32,
): void {
  const bytes = (<usize>width) << 2;
  for (let s: i32 = 0; s < length; s++, dx += bytes) {
    const token = <i32>load<u8>(tokens + s);
    if (token % threads != thread) continue;
    const row = dEmbedding + <usize>token * bytes;
    add(row, dx, row, width);
  }
}

/** All sequences, and of the position table the rows [first, last). @param dPosition added to */
export function positionBackward(
  dx: usize,
  dPosition: usize,
  sequences: i32,
  length: i32,
  width: i32,
  first: i32,
  last: i32,
): void {
  const bytes = (<usize>width) << 2;
  for (let b: i32 = 0; b < sequences; b++) {
    for (let s = first; s < last; s++) {
      const row = dPosition + <usize>s * bytes;
      add(row, dx + <usize>(b * length + s) * bytes, row, width);
    }
  }
}
