/**
 * C = A·B or C += A·B, for any strides of B and an A of which one stride is 1, so that a transpose is only a change of
 * strides.
 *
 * Blocking (after Goto and van de Geijn, ACM TOMS 34, 2008): B is packed, at most DEPTH × COLUMNS of it at a time,
 * into panels of 8 columns, zero-padded, that the first-level cache holds; A is read in place, BLOCK_ROWS rows at a
 * time, that the second level holds; 5 × 8 sums stay in registers. Every element of C is summed over k in
 * ascending order, DEPTH terms at a time, whatever rows or columns a caller asks for: splitting a product among
 * threads by rows or columns of C does not change a bit.
 */
import { panelOfColumns, panelOfRows, TILE_ROWS } from "./tiles"; // written by scripts/gemm-tiles.mjs

const DEPTH: i32 = 256;
const COLUMNS: i32 = 256;
const BLOCK_ROWS: i32 = 60;
const PANEL: i32 = 8;
const PANEL_BYTES: usize = 32;
/** Floats in a line of the cache. */
const LINE: i32 = 16;

/** How much scratch memory a call of `gemm` needs: the packed part of B, and one tile for the ragged edges of C. */
export function scratchBytes(): i32 {
  return ((DEPTH * COLUMNS) << 2) + TILE_ROWS * i32(PANEL_BYTES);
}

/** Of a call's scratch memory, behind the packed part of B. */
function spareTile(scratch: usize): usize {
  return scratch + ((DEPTH * COLUMNS) << 2);
}

/**
 * @param a A[i, k] at a + 4·(i·aRow + k·aColumn), [rows, depth]; aRow or aColumn is 1
 * @param b B[k, j] at b + 4·(k·bRow + j·bColumn), [depth, columns]
 * @param c C[i, j] at c + 4·(i·cRow + j), [rows, columns]
 * @param accumulate 0: C is written, 1: C is added to
 * @param scratch `scratchBytes()` of this thread's own
 */
export function gemm(
  a: usize,
  aRow: i32,
  aColumn: i32,
  b: usize,
  bRow: i32,
  bColumn: i32,
  c: usize,
  cRow: i32,
  rows: i32,
  columns: i32,
  depth: i32,
  accumulate: i32,
  scratch: usize,
): void {
  if (rows == 0) return; // an expert that nobody chose: not even worth packing
  for (let j: i32 = 0; j < columns; j += COLUMNS) {
    const width = min(COLUMNS, columns - j);
    if (accumulate) touch(at(c, j), cRow, rows, width, spareTile(scratch));
    for (let k: i32 = 0; k < depth; k += DEPTH) {
      const part = min(DEPTH, depth - k);
      pack(at(b, k * bRow + j * bColumn), bRow, bColumn, part, width, scratch);
      if (aColumn != 1) touch(at(a, k * aColumn), aColumn, part, rows, spareTile(scratch));
      for (let i: i32 = 0; i < rows; i += BLOCK_ROWS) {
        const height = min(BLOCK_ROWS, rows - i);
        multiplyBlock(
          at(a, i * aRow + k * aColumn),
          aRow,
          aColumn,
          scratch,
          at(c, i * cRow + j),
          cRow,
          height,
          width,
          part,
          accumulate != 0 || k > 0,
        );
      }
    }
  }
}

/**
 * Reads a matrix once in the order of memory, which the processor foresees, so that it is in the second-level cache when
 * tiles read it in theirs: in columns, or a few numbers a row, which it does not foresee. WebAssembly has no prefetch.
 * @param spare a vector that is written lest the compiler leave out the reading
 */
function touch(matrix: usize, row: i32, rows: i32, columns: i32, spare: usize): void {
  let seen = i32x4.splat(0);
  for (let i: i32 = 0; i < rows; i++, matrix += (<usize>row) << 2) {
    for (let j: i32 = 0; j < columns; j += LINE) seen = v128.or(seen, v128.load32_zero(at(matrix, j)));
  }
  v128.store(spare, seen);
}

function at(base: usize, index: i32): usize {
  return base + ((<usize>index) << 2);
}

/** Packs B into panels [columns / 8, depth, 8]; columns past the last are zeros. */
function pack(b: usize, bRow: i32, bColumn: i32, depth: i32, columns: i32, packed: usize): void {
  for (let j: i32 = 0; j < columns; j += PANEL) {
    const width = min(PANEL, columns - j);
    const from = at(b, j * bColumn);
    if (width == PANEL && bColumn == 1) packRows(from, bRow, depth, packed);
    else if (width == PANEL && bRow == 1) packTransposed(from, bColumn, depth, packed);
    else packElements(from, bRow, bColumn, depth, width, packed);
    packed += <usize>depth * PANEL_BYTES;
  }
}

function packRows(b: usize, bRow: i32, depth: i32, packed: usize): void {
  const step = (<usize>bRow) << 2;
  for (let k: i32 = 0; k < depth; k++, b += step, packed += PANEL_BYTES) {
    v128.store(packed, v128.load(b));
    v128.store(packed, v128.load(b, 16), 16);
  }
}

/** B's columns are contiguous: 4 × 4 transposes, then what is left. */
function packTransposed(b: usize, bColumn: i32, depth: i32, packed: usize): void {
  const step = (<usize>bColumn) << 2;
  const whole = depth & ~3;
  for (let k: i32 = 0; k < whole; k += 4, b += 16, packed += 4 * PANEL_BYTES) {
    transpose4(b, step, packed);
    transpose4(b + 4 * step, step, packed + 16);
  }
  if (whole < depth) packElements(b, 1, bColumn, depth - whole, PANEL, packed);
}

/** Four runs of four floats become the columns of four panel rows. */
function transpose4(from: usize, step: usize, to: usize): void {
  const r0 = v128.load(from);
  const r1 = v128.load(from + step);
  const r2 = v128.load(from + 2 * step);
  const r3 = v128.load(from + 3 * step);
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f64>(low01, low23, 0, 2));
  v128.store(to, v128.shuffle<f64>(low01, low23, 1, 3), 32);
  v128.store(to, v128.shuffle<f64>(high01, high23, 0, 2), 64);
  v128.store(to, v128.shuffle<f64>(high01, high23, 1, 3), 96);
}

function packElements(b: usize, bRow: i32, bColumn: i32, depth: i32, width: i32, packed: usize): void {
  for (let k: i32 = 0; k < depth; k++, packed += PANEL_BYTES) {
    for (let j: i32 = 0; j < PANEL; j++) {
      store<f32>(at(packed, j), j < width ? load<f32>(at(b, k * bRow + j * bColumn)) : 0);
    }
  }
}

/** A block of rows of A times the packed panels. Tiles narrower than a panel go by way of a spare tile. */
function multiplyBlock(
  a: usize,
  aRow: i32,
  aColumn: i32,
  packed: usize,
  c: usize,
  cRow: i32,
  rows: i32,
  columns: i32,
  depth: i32,
  accumulate: bool,
): void {
  const spare = spareTile(packed);
  for (let j: i32 = 0; j < columns; j += PANEL) {
    const width = min(PANEL, columns - j);
    if (width == PANEL) {
      multiplyPanel(rows, a, aRow, aColumn, packed, depth, at(c, j), (<usize>cRow) << 2, accumulate);
    } else {
      for (let i: i32 = 0; i < rows; i += TILE_ROWS) {
        const height = min(TILE_ROWS, rows - i);
        multiplyPanel(height, at(a, i * aRow), aRow, aColumn, packed, depth, spare, PANEL_BYTES, false);
        copyTile(spare, at(c, i * cRow + j), cRow, height, width, accumulate);
      }
    }
    packed += <usize>depth * PANEL_BYTES;
  }
}

/** Rows by 8 columns of C, as scripts/gemm-tiles.mjs writes the loops. */
function multiplyPanel(
  rows: i32,
  a: usize,
  aRow: i32,
  aColumn: i32,
  panel: usize,
  depth: i32,
  c: usize,
  cStep: usize,
  accumulate: bool,
): void {
  if (aColumn == 1) panelOfRows(rows, a, (<usize>aRow) << 2, panel, depth, c, cStep, accumulate);
  else panelOfColumns(rows, a, (<usize>aColumn) << 2, panel, depth, c, cStep, accumulate);
}

function copyTile(spare: usize, c: usize, cRow: i32, rows: i32, columns: i32, accumulate: bool): void {
  for (let i: i32 = 0; i < rows; i++) {
    for (let j: i32 = 0; j < columns; j++) {
      const value = load<f32>(at(spare, i * PANEL + j));
      const to = at(c, i * cRow + j);
      store<f32>(to, accumulate ? load<f32>(to) + value : value);
    }
  }
}
