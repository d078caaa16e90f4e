/**
 * Vectors of four floats of which the last in a row may be short, because a row need not be a multiple of four
 * long. A loop over `left = length; left > 0; left -= 4` with these two serves every length.
 */

/** The next four floats; lanes past the `left` remaining ones are 0. */
export function loadLanes(address: usize, left: i32): v128 {
  return left >= 4 ? v128.load(address) : loadShort(address, left);
}

/** Writes the next four floats, or the `left` remaining ones. */
export function storeLanes(address: usize, value: v128, left: i32): void {
  if (left >= 4) v128.store(address, value);
  else storeShort(address, value, left);
}

function loadShort(address: usize, left: i32): v128 {
  let value = v128.load32_zero(address);
  if (left > 1) value = v128.load_lane<f32>(address, value, 1, 4);
  if (left > 2) value = v128.load_lane<f32>(address, value, 2, 8);
  return value;
}

function storeShort(address: usize, value: v128, left: i32): void {
  v128.store_lane<f32>(address, value, 0);
  if (left > 1) v128.store_lane<f32>(address, value, 1, 4);
  if (left > 2) v128.store_lane<f32>(address, value, 2, 8);
}

/** Writes eight floats, or adds them to what is there. */
export function storeRow(address: usize, left: v128, right: v128, accumulate: bool): void {
  if (accumulate) {
    left = f32x4.add(v128.load(address), left);
    right = f32x4.add(v128.load(address, 16), right);
  }
  v128.store(address, left);
  v128.store(address, right, 16);
}

/** Sum of the four lanes, always in the same order. */
export function sumLanes(value: v128): f32 {
  return (
    f32x4.extract_lane(value, 0) +
    f32x4.extract_lane(value, 1) +
    (f32x4.extract_lane(value, 2) + f32x4.extract_lane(value, 3))
  );
}

/** Largest of a row; NaN if there is one. @param row [count], at least one */
export function largestOf(row: usize, count: i32): f32 {
  let largest = v128.load32_splat(row);
  const whole = count & ~3;
  for (const end = row + ((<usize>whole) << 2); row < end; row += 16) largest = f32x4.max(largest, v128.load(row));
  for (let left = count - whole; left > 0; left--, row += 4) largest = f32x4.max(largest, v128.load32_splat(row));
  return max(
    max(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
    max(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
  );
}

/** a · b + c: rounded twice in the plain build, perhaps once in the relaxed one. */
export function multiplyAdd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}
