/**
 * Writes the innermost loops of assembly/gemm.ts, which the build hands to the compiler as assembly/tiles.ts: for
 * every height from 1 to ROWS the tile of that many rows by 8 columns of C, and with them all rows of a packed panel, once
 * for an A whose rows are contiguous (`panelOfRows`), once for one whose columns are (`panelOfColumns`).
 *
 * A tile keeps its sums in registers: with ROWS = 5 they are ten of the fifteen that V8 gives out, and beside them a
 * step over k needs two vectors of B, numbers of A and a product. V8 moves all loads of a basic block before its
 * arithmetic, so that the numbers of all rows would be live at once and sums would be spilled to the stack, which
 * halves the speed. An exit that is never taken ends the block after every PAIR of rows; the test costs one
 * instruction. For the same reason the exits between unrolled steps keep the loads of the next step where they are;
 * they serve depths that are no multiple of the steps. Unrolling leaves out most of the stack checks.
 *
 * On Zen 3, of 39 (plain) and 52 GFLOP/s (fused) that registers alone allow: 38 and 46 on products of 256 × 128 × 256;
 * 34 and 46 with four rows and no exits within a step.
 *
 * Every sum starts from zero and adds its products one by one in ascending k, so no height changes a bit.
 */

/** Rows of the largest tile. */
export const ROWS = 5;

/** Steps over k in a turn of the loop: fewer for the rows that are left, which are few, so that the code is short. */
const stepsOf = (rows) => (rows === ROWS ? 4 : 2);

/** Rows whose numbers of A are loaded together. */
const PAIR = 2;

const upTo = (count) => Array.from({ length: count }, (_, i) => i);

/** Values that the number of steps left never has; each its own, or the compiler would see that it has asked already. */
const neverRest = (n) => -1 - n;

/** One k: all products of a column of A's rows with a row of the panel. */
function step(rows, k, byRows) {
  const isLast = k === stepsOf(rows) - 1;
  const endsPair = (i) => i % PAIR === PAIR - 1 && i < rows - 1;
  const ofRow = (i) => `
    const x${k}${i} = ${byRows ? `v128.load32_splat(a${i}, ${4 * k})` : `v128.load32_splat(a0, ${4 * i})`};
    left${i} = multiplyAdd(x${k}${i}, b${k}, left${i});
    right${i} = multiplyAdd(x${k}${i}, d${k}, right${i});${endsPair(i) ? `\n    if (rest == ${neverRest(k * rows + i)}) break;` : ""}`;
  return `
    const b${k} = v128.load(b, ${32 * k});
    const d${k} = v128.load(b, ${32 * k + 16});${upTo(rows).map(ofRow).join("")}${byRows ? "" : "\n    a0 += aStep;"}
    ${isLast ? "" : `if (rest == ${k + 1}) break;`}`;
}

/** Statements of `rows` rows by 8 columns of C, for where A, the panel and C have the names of PARAMETERS. */
function tile(rows, byRows) {
  const steps = stepsOf(rows);
  const each = (line) => upTo(rows).map(line).join("\n  ");
  const pointers = byRows ? each((i) => `let a${i} = a + ${i} * aStep;`) : "let a0 = a;";
  const advance = byRows ? each((i) => `a${i} += ${4 * steps};`) : "";
  return `
  ${pointers}
  ${each((i) => `let left${i} = f32x4.splat(0), right${i} = f32x4.splat(0);`)}
  let b = panel;
  let rest = depth;
  do {${upTo(steps)
    .map((k) => step(rows, k, byRows))
    .join("")}
    ${advance}
    b += ${32 * steps};
    rest -= ${steps};
  } while (rest > 0);
  ${each((i) => `storeRow(c + ${i} * cStep, left${i}, right${i}, accumulate);`)}`;
}

/** Of every function here. */
const PARAMETERS = "a: usize, aStep: usize, panel: usize, depth: i32, c: usize, cStep: usize, accumulate: bool";

/** Any number of rows by 8 columns: whole tiles in a loop, which costs less than a call for each, then what is left. */
function panel(byRows) {
  const lower = upTo(ROWS - 1).map((i) => i + 1);
  const ofRows = (rows) => `${byRows ? "rows" : "columns"}${rows}`;
  return `
${lower.map((rows) => `function ${ofRows(rows)}(${PARAMETERS}): void {${tile(rows, byRows)}\n}`).join("\n")}
export function ${byRows ? "panelOfRows" : "panelOfColumns"}(rows: i32, ${PARAMETERS}): void {
  for (; rows >= ${ROWS}; rows -= ${ROWS}) {${tile(ROWS, byRows)}
    a += ${byRows ? `${ROWS} * aStep` : 4 * ROWS};
    c += ${ROWS} * cStep;
  }
  ${lower.map((rows) => `if (rows == ${rows}) ${ofRows(rows)}(a, aStep, panel, depth, c, cStep, accumulate);`).join("\n  ")}
}`;
}

/** The source of assembly/tiles.ts. */
export function tiles() {
  return `
import { multiplyAdd, storeRow } from "./lanes";
export const TILE_ROWS: i32 = ${ROWS};
${panel(true)}
${panel(false)}
`;
}
