/** What a routing pass works on: laid out by src/engine/batch-router.ts, which writes these words in this order. */

/** How a router takes its experts. */
export const BEST_OF_GROUPS: i32 = 0;
export const BEST_GROUPS_FIRST: i32 = 1;

@unmanaged
export class Job {
  /** [T, N] f32; 64 bytes behind it may be read */
  logits: usize;
  /** [T, K] i32, written */
  experts: usize;
  /** [T, K] f32, written */
  weights: usize;
  /** [T, N] f32, written; 0: not wanted */
  scores: usize;
  /** [N] i32 */
  deviceOf: usize;
  /** [units, D] i32, written: assignments of each device from each unit of tokens */
  deviceLoad: usize;
  /** T */
  tokens: i32;
  /** N */
  width: i32;
  /** K */
  topK: i32;
  /** M; 1 for plain top-k */
  groups: i32;
  /** BEST_OF_GROUPS: K/M of each group. BEST_GROUPS_FIRST: K of the best `limit` groups. */
  rule: i32;
  limit: i32;
  /** Of a group, how many of its best scores are compared: 1 or 2 */
  counted: i32;
  /** D */
  devices: i32;
  /** Tokens whose loads are counted together. */
  unit: i32;
  /** 1: weights are divided by their sum over the chosen; 0: by that over all experts */
  normalised: i32;
  /** Multiplies every weight. */
  scale: f32;
}

/** Scratch of one thread. Lists have a row for each expert, and as many lanes as tokens are sorted together. */
export const MAXIMA: usize = 0; // [4 tokens, 32] vectors
export const ROWS: usize = 2048; // [128] rows of 4 tokens
export const GROUPS: usize = 4096; // [64] rows of 4 tokens, twice: the best and the second of each group
export const KEPT: usize = 6144; // [4 tokens, 64] i32: first the groups that are kept
export const LARGEST: usize = 7168; // [4 tokens] f32
export const SUMS: usize = 7184; // [2, 4 tokens] f32
export const LIST: usize = 7232; // [2 pairs, 2048] rows of 2 keys
export const LIST_BYTES: usize = 2048 * 16;
export const VALUES: usize = LIST + 2 * LIST_BYTES; // [2048] f64
export const COUNTS: usize = VALUES + 2048 * 8; // [N] i32 of the unit
export const TOTALS: usize = COUNTS + 2048 * 4; // [N] i32 of all units since `clearTotals`
export const SCRATCH_BYTES: usize = TOTALS + 2048 * 4;
