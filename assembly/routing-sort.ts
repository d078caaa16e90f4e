/**
 * Sorting networks over rows of lanes: every lane of a vector is a list of its own, so that two tokens (f64 keys) or
 * four (f32 values) are sorted at once, without a branch. Row i of a list lies at `rows + 16 · i`; the largest comes
 * first. Eight rows fit the sixteen registers of 128 bits that processors have, with one to spare for an exchange, so
 * eight is the size of every block: longer lists are merged from blocks in memory.
 */

const ROW: usize = 16;

/** Sorts 8 rows by 19 exchanges, the fewest possible (Knuth, TAOCP 3, section 5.3.4), in 7 layers. */
export function sort8<T>(rows: usize): void {
  let a = v128.load(rows, 0);
  let b = v128.load(rows, 16);
  let c = v128.load(rows, 32);
  let d = v128.load(rows, 48);
  let e = v128.load(rows, 64);
  let f = v128.load(rows, 80);
  let g = v128.load(rows, 96);
  let h = v128.load(rows, 112);
  let top = v128.pmax<T>(a, b);
  b = v128.pmin<T>(a, b);
  a = top;
  top = v128.pmax<T>(c, d);
  d = v128.pmin<T>(c, d);
  c = top;
  top = v128.pmax<T>(e, f);
  f = v128.pmin<T>(e, f);
  e = top;
  top = v128.pmax<T>(g, h);
  h = v128.pmin<T>(g, h);
  g = top;
  top = v128.pmax<T>(a, c);
  c = v128.pmin<T>(a, c);
  a = top;
  top = v128.pmax<T>(b, d);
  d = v128.pmin<T>(b, d);
  b = top;
  top = v128.pmax<T>(e, g);
  g = v128.pmin<T>(e, g);
  e = top;
  top = v128.pmax<T>(f, h);
  h = v128.pmin<T>(f, h);
  f = top;
  top = v128.pmax<T>(b, c);
  c = v128.pmin<T>(b, c);
  b = top;
  top = v128.pmax<T>(f, g);
  g = v128.pmin<T>(f, g);
  f = top;
  top = v128.pmax<T>(a, e);
  e = v128.pmin<T>(a, e);
  a = top;
  top = v128.pmax<T>(d, h);
  h = v128.pmin<T>(d, h);
  d = top;
  top = v128.pmax<T>(b, f);
  f = v128.pmin<T>(b, f);
  b = top;
  top = v128.pmax<T>(c, g);
  g = v128.pmin<T>(c, g);
  c = top;
  top = v128.pmax<T>(b, e);
  e = v128.pmin<T>(b, e);
  b = top;
  top = v128.pmax<T>(d, g);
  g = v128.pmin<T>(d, g);
  d = top;
  top = v128.pmax<T>(c, e);
  e = v128.pmin<T>(c, e);
  c = top;
  top = v128.pmax<T>(d, f);
  f = v128.pmin<T>(d, f);
  d = top;
  top = v128.pmax<T>(d, e);
  e = v128.pmin<T>(d, e);
  d = top;
  v128.store(rows, a, 0);
  v128.store(rows, b, 16);
  v128.store(rows, c, 32);
  v128.store(rows, d, 48);
  v128.store(rows, e, 64);
  v128.store(rows, f, 80);
  v128.store(rows, g, 96);
  v128.store(rows, h, 112);
}

/** The best 8 of two sorted blocks of 8, sorted, in place of the first: half of Batcher's bitonic merge. */
export function keepBest8<T>(best: usize, more: usize): void {
  let a = v128.pmax<T>(v128.load(best, 0), v128.load(more, 112));
  let b = v128.pmax<T>(v128.load(best, 16), v128.load(more, 96));
  let c = v128.pmax<T>(v128.load(best, 32), v128.load(more, 80));
  let d = v128.pmax<T>(v128.load(best, 48), v128.load(more, 64));
  let e = v128.pmax<T>(v128.load(best, 64), v128.load(more, 48));
  let f = v128.pmax<T>(v128.load(best, 80), v128.load(more, 32));
  let g = v128.pmax<T>(v128.load(best, 96), v128.load(more, 16));
  let h = v128.pmax<T>(v128.load(best, 112), v128.load(more, 0));
  let top = v128.pmax<T>(a, e);
  e = v128.pmin<T>(a, e);
  a = top;
  top = v128.pmax<T>(b, f);
  f = v128.pmin<T>(b, f);
  b = top;
  top = v128.pmax<T>(c, g);
  g = v128.pmin<T>(c, g);
  c = top;
  top = v128.pmax<T>(d, h);
  h = v128.pmin<T>(d, h);
  d = top;
  top = v128.pmax<T>(a, c);
  c = v128.pmin<T>(a, c);
  a = top;
  top = v128.pmax<T>(b, d);
  d = v128.pmin<T>(b, d);
  b = top;
  top = v128.pmax<T>(e, g);
  g = v128.pmin<T>(e, g);
  e = top;
  top = v128.pmax<T>(f, h);
  h = v128.pmin<T>(f, h);
  f = top;
  v128.store(best, v128.pmax<T>(a, b), 0);
  v128.store(best, v128.pmin<T>(a, b), 16);
  v128.store(best, v128.pmax<T>(c, d), 32);
  v128.store(best, v128.pmin<T>(c, d), 48);
  v128.store(best, v128.pmax<T>(e, f), 64);
  v128.store(best, v128.pmin<T>(e, f), 80);
  v128.store(best, v128.pmax<T>(g, h), 96);
  v128.store(best, v128.pmin<T>(g, h), 112);
}

/** Sorts `count` rows, a power of two from 8 on: blocks of 8, then Batcher's bitonic merges, each in place. */
export function sortRows<T>(rows: usize, count: usize): void {
  const end = rows + count * ROW;
  for (let block = rows; block < end; block += 8 * ROW) sort8<T>(block);
  for (let run: usize = 8 * ROW; run < count * ROW; run *= 2) {
    for (let start = rows; start < end; start += 2 * run) {
      // The second run is read backwards, so that both together rise and fall once.
      for (let i: usize = 0; i < run; i += ROW) exchange<T>(start + i, start + 2 * run - ROW - i);
    }
    for (let stride: usize = run / 2; stride >= ROW; stride /= 2) {
      for (let start = rows; start < end; start += 2 * stride) {
        for (let i: usize = 0; i < stride; i += ROW) exchange<T>(start + i, start + stride + i);
      }
    }
  }
}

function exchange<T>(upper: usize, lower: usize): void {
  const a = v128.load(upper);
  const b = v128.load(lower);
  v128.store(upper, v128.pmax<T>(a, b));
  v128.store(lower, v128.pmin<T>(a, b));
}
