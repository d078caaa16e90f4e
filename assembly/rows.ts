/**
 * Copying and clearing of whole rows. They are here because JavaScript's own `fill` and `copyWithin` go through shared
 * memory byte by byte.
 */

/** y = x. @param x,y [bytes] @param bytes how many */
export function copy(x: usize, y: usize, bytes: usize): void {
  memory.copy(y, x, bytes);
}

/** x = 0. @param x [bytes] @param bytes how many */
export function clear(x: usize, bytes: usize): void {
  memory.fill(x, 0, bytes);
}
