/**
 * The K largest of a row of logits, best first, of equal ones the lower id first: exact, for four tokens at a time.
 *
 * 1. A threshold. The row is folded to the maxima of G ≥ 2K strided groups (a column of vectors each, one `max` a
 *    vector). The K-th largest maximum is no larger than the K-th largest logit, since K logits reach it; on even data
 *    about 1.35 K do. The maxima of four tokens are transposed, so that a network sorts them side by side.
 * 2. Candidates. One pass of compares gives a bit for every logit that reaches the threshold; only those are touched one
 *    by one. Each becomes a key: the logit as a double, whose low 29 bits are free, with the id in them so that keys
 *    of equal logits are ordered by id and no two are equal.
 * 3. Order. A network sorts the keys of two tokens side by side; value and id come out of them again.
 *
 * The one unpredictable branch a token is the end of the walk over its candidates, where insertion into a sorted list
 * has one a candidate and more.
 */
import { storeLanes } from "./lanes";
import { KEPT, LIST, LIST_BYTES, MAXIMA, ROWS } from "./routing-job";
import { keepBest8, sort8, sortRows } from "./routing-sort";

const LOWEST = -Infinity as f32;
const ROW: usize = 16;

/** Low bits of a key: ids are below 2,048. */
const ID_BITS: i64 = 2047;
/** Stands for −∞, whose bits leave no room for an id; below every float32. */
const MASKED: f64 = -1.0715086071862673e301; // -(2^1000)

/** The next four logits; lanes past the `left` remaining ones are −∞. */
export function loadRow(row: usize, left: i32): v128 {
  const lanes = v128.load(row);
  if (left >= 4) return lanes;
  const within = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(left));
  return v128.bitselect(lanes, f32x4.splat(LOWEST), within);
}

/** How many groups of a row a threshold for K is made from, in vectors. */
export function foldVectors(topK: i32): usize {
  return topK <= 8 ? 4 : topK <= 16 ? 8 : topK <= 32 ? 16 : 32;
}

/** Before the first `fold` of a quad of tokens. */
export function startFold(scratch: usize, vectors: usize): void {
  const lowest = f32x4.splat(LOWEST);
  for (let i: usize = 0; i < 4 * vectors; i++) v128.store(scratch + MAXIMA + i * ROW, lowest);
}

/** Folds `count` logits of one of the four tokens into its maxima. */
export function fold(scratch: usize, token: i32, vectors: usize, row: usize, count: i32): void {
  const maxima = scratch + MAXIMA + <usize>token * vectors * ROW;
  if (vectors == 4) return foldTo4(maxima, row, count);
  let at: usize = 0;
  for (let left = count; left > 0; left -= 4, row += 16) {
    v128.store(maxima + at, f32x4.pmax(v128.load(maxima + at), loadRow(row, left)));
    at = (at + ROW) & (vectors * ROW - 1);
  }
}

function foldTo4(maxima: usize, row: usize, count: i32): void {
  let a = v128.load(maxima, 0);
  let b = v128.load(maxima, 16);
  let c = v128.load(maxima, 32);
  let d = v128.load(maxima, 48);
  let left = count;
  for (; left >= 16; left -= 16, row += 64) {
    a = f32x4.pmax(a, v128.load(row, 0));
    b = f32x4.pmax(b, v128.load(row, 16));
    c = f32x4.pmax(c, v128.load(row, 32));
    d = f32x4.pmax(d, v128.load(row, 48));
  }
  if (left > 0) a = f32x4.pmax(a, loadRow(row, left));
  if (left > 4) b = f32x4.pmax(b, loadRow(row + 16, left - 4));
  if (left > 8) c = f32x4.pmax(c, loadRow(row + 32, left - 8));
  if (left > 12) d = f32x4.pmax(d, loadRow(row + 48, left - 12));
  v128.store(maxima, a, 0);
  v128.store(maxima, b, 16);
  v128.store(maxima, c, 32);
  v128.store(maxima, d, 48);
}

/** Writes a vector of each of four tokens as four rows with a lane for each token. */
export function transpose(a: v128, b: v128, c: v128, d: v128, rows: usize): void {
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  v128.store(rows, v128.shuffle<i64>(ab, cd, 0, 2), 0);
  v128.store(rows, v128.shuffle<i64>(ab, cd, 1, 3), 16);
  const abHigh = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cdHigh = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  v128.store(rows, v128.shuffle<i64>(abHigh, cdHigh, 0, 2), 32);
  v128.store(rows, v128.shuffle<i64>(abHigh, cdHigh, 1, 3), 48);
}

/** What each of the four tokens' K best reach at least; a lane a token, kept in the scratch. */
export function threshold(scratch: usize, vectors: usize, topK: i32): usize {
  const maxima = scratch + MAXIMA;
  const rows = scratch + ROWS;
  const next = vectors * ROW;
  for (let i: usize = 0; i < next; i += ROW) {
    const own = maxima + i;
    transpose(
      v128.load(own),
      v128.load(own + next),
      v128.load(own + 2 * next),
      v128.load(own + 3 * next),
      rows + 4 * i,
    );
  }
  if (vectors == 4) {
    sort8<f32>(rows);
    sort8<f32>(rows + 8 * ROW);
    keepBest8<f32>(rows, rows + 8 * ROW);
  } else {
    sortRows<f32>(rows, 4 * vectors);
  }
  return rows + <usize>(topK - 1) * ROW;
}

/** Bit i: logit i of the next 16 reaches the threshold. */
function reach16(row: usize, least: v128): i32 {
  const a = f32x4.ge(v128.load(row, 0), least);
  const b = f32x4.ge(v128.load(row, 16), least);
  const c = f32x4.ge(v128.load(row, 32), least);
  const d = f32x4.ge(v128.load(row, 48), least);
  return i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
}

/** Lists the keys of those of `count` logits that reach the threshold. @returns where the next key goes */
export function collect(row: usize, count: i32, id: i64, least: v128, place: usize): usize {
  let left = count;
  for (; left >= 64; left -= 64, row += 256, id += 64) {
    const low = <i64>reach16(row, least) | ((<i64>reach16(row + 64, least)) << 16);
    const high = <i64>reach16(row + 128, least) | ((<i64>reach16(row + 192, least)) << 16);
    place = list(low | (high << 32), row, id, place);
  }
  for (; left > 0; left -= 16, row += 64, id += 16) {
    const reached = reach16(row, least);
    place = list(<i64>(left < 16 ? reached & ((1 << left) - 1) : reached), row, id, place);
  }
  return place;
}

function list(reached: i64, row: usize, id: i64, place: usize): usize {
  for (; reached != 0; reached &= reached - 1, place += ROW) {
    const bit = ctz(reached);
    const logit = <f64>(load<f32>(row + ((<usize>bit) << 2)) + 0); // −0 becomes 0, as they are equal
    const bits = reinterpret<i64>(logit > MASKED ? logit : MASKED);
    store<i64>(place, bits | ((id + bit) ^ (~(bits >> 63) & ID_BITS)));
  }
  return place;
}

/**
 * Sorts the candidates of a pair of tokens, K rows of them at least, and no lane of fewer than K keys.
 * @param list its rows @param first,second how many keys each lane has
 */
export function sortCandidates(list: usize, first: usize, second: usize, topK: i32): void {
  const most = max(first, second);
  let rows: usize = 8;
  if (topK <= 8) rows = (most + 7) & ~7;
  else while (rows < most) rows *= 2;
  for (let i = first; i < rows; i++) store<f64>(list + i * ROW, -Infinity);
  for (let i = second; i < rows; i++) store<f64>(list + i * ROW, -Infinity, 8);
  if (topK > 8) return sortRows<f64>(list, rows);
  sort8<f64>(list);
  for (let i: usize = 8; i < rows; i += 8) {
    sort8<f64>(list + i * ROW);
    keepBest8<f64>(list, list + i * ROW);
  }
}

/** Writes the best K of one lane of a sorted list of pairs: ids and logits. @param lane 0 or 1 */
export function writeBest(list: usize, lane: i32, topK: i32, experts: usize, logits: usize): void {
  for (let left = topK; left > 0; left -= 4, list += 4 * ROW, experts += 16, logits += 16) {
    const a = lane ? high(list) : low(list);
    const b = lane ? high(list + 2 * ROW) : low(list + 2 * ROW);
    const words = v128.shuffle<i32>(a, b, 0, 2, 4, 6);
    const signs = i32x4.shr_s(v128.shuffle<i32>(a, b, 1, 3, 5, 7), 31);
    const ids = v128.and(v128.xor(words, v128.not(signs)), i32x4.splat(<i32>ID_BITS));
    const value = i64x2.splat(~ID_BITS);
    const first = f32x4.demote_f64x2_zero(v128.and(a, value));
    const second = f32x4.demote_f64x2_zero(v128.and(b, value));
    storeLanes(experts, ids, left);
    storeLanes(logits, v128.shuffle<i64>(first, second, 0, 2), left);
  }
}

/** One lane of two rows of keys. */
function low(list: usize): v128 {
  return v128.shuffle<i64>(v128.load(list), v128.load(list + ROW), 0, 2);
}

function high(list: usize): v128 {
  return v128.shuffle<i64>(v128.load(list), v128.load(list + ROW), 1, 3);
}

/** The list of a token's pair, and within it the lane of the token. */
export function listOf(scratch: usize, token: i32): usize {
  return scratch + LIST + <usize>(token >> 1) * LIST_BYTES + <usize>(token & 1) * 8;
}

/** The groups that one of the four tokens keeps: [limit] */
export function keptGroups(scratch: usize, token: i32): usize {
  return scratch + KEPT + <usize>token * 256;
}
