/**
 * Sinkhorn routing (S-BASE): the exponentials of the logits are scaled until every expert has the same total, and a
 * token takes its K best of the scaled matrix. Balanced on average, not exactly. When nothing is learned, the logits
 * decide.
 */
import { exp } from "../core/elementary.ts";
import type { Floats } from "../core/floats.ts";
import { numeral } from "./numerals.ts";
import { router, selectTopK, tooManyExperts } from "./router.ts";

/** How far a doubly scaled matrix has to settle. */
export interface SinkhornSettings {
  /** On the mean change of the column factors, absolute. */
  readonly tolerance: number;
  /** Added to sums before they divide. */
  readonly epsilon: number;
  /** Passes over the matrix, at most. */
  readonly passes: number;
}

/** Megatron-LM's, which goes on for as long as it takes. */
export const megatronSinkhorn: SinkhornSettings = { tolerance: 1e-4, epsilon: 1e-8, passes: Number.POSITIVE_INFINITY };

/**
 * The router's. Logits of deviation 1 settle in less than ten passes and of 5 in fifty, but of 10 a few tokens may take
 * 500,000, in which a training run would seem to hang.
 */
const boundedSinkhorn: SinkhornSettings = { ...megatronSinkhorn, passes: 1000 };

export interface SinkhornResult {
  /** [T, N] columns sum to 1/N, rows nearly to 1/T. NaN where exponentials overflow, as in the source */
  readonly matrix: Float64Array;
  readonly iterations: number;
}

/**
 * Scales e^logits (no maximum is taken off) to equal column sums: Megatron-LM, moe_utils.sinkhorn.
 * @param logits [T, N] @param experts N
 */
export function sinkhorn(
  logits: Floats,
  experts: number,
  { tolerance, epsilon, passes }: SinkhornSettings = megatronSinkhorn,
): SinkhornResult {
  const tokens = logits.length / experts;
  const cost = Float64Array.from(logits, exp);
  const row = new Float64Array(tokens).fill(1);
  const column = new Float64Array(experts).fill(1);
  let iterations = 0;
  let change: number;
  do {
    for (let t = 0; t < tokens; t++) {
      let sum = 0;
      for (let e = 0; e < experts; e++) sum += cost[t * experts + e]! * column[e]!;
      row[t] = 1 / tokens / (sum + epsilon);
    }
    change = 0;
    for (let e = 0; e < experts; e++) {
      let sum = 0;
      for (let t = 0; t < tokens; t++) sum += cost[t * experts + e]! * row[t]!;
      const scaled = 1 / experts / (sum + epsilon);
      change += Math.abs(column[e]! - scaled) / experts;
      column[e] = scaled;
    }
    iterations++;
  } while (change > tolerance && iterations < passes);
  return {
    matrix: cost.map((value, i) => column[i % experts]! * value * row[Math.floor(i / experts)]!),
    iterations,
  };
}

export const sinkhornRouter = router({
  title: "Sinkhorn (S-BASE), top-k of a matrix scaled to equal columns",
  source: "Clark et al. 2022, arXiv:2202.01169; Megatron-LM, TopKRouter.sinkhorn_load_balancing",
  summary: "loads come out nearly equal while training; without it the router chooses by its logits",
  promises: { takesK: true, perToken: false, byScore: false, equivariant: true },
  contradiction: tooManyExperts,
  select(input, choice) {
    const { shape, logits, scores, first, last, training = true } = input;
    if (!training) {
      selectTopK({ ...input, bias: undefined }, choice);
      return;
    }
    const { experts } = shape;
    const { matrix } = sinkhorn((logits ?? scores).slice(first * experts, last * experts), experts, boundedSinkhorn);
    const part = { ...choice, experts: choice.experts.subarray(first * choice.slots, last * choice.slots) };
    selectTopK({ shape, options: undefined, scores: matrix, first: 0, last: last - first }, part);
  },
  explain({ shape: { experts }, logits, scores, first, last, training = true }, token) {
    if (!training) return ["without training the logits decide"];
    const { matrix, iterations } = sinkhorn(
      (logits ?? scores).slice(first * experts, last * experts),
      experts,
      boundedSinkhorn,
    );
    const row = matrix.subarray((token - first) * experts, (token - first + 1) * experts);
    return [
      `e^x, scaled ${iterations} times so that its columns sum to 1/N = 1/${experts} and its rows nearly to 1/T = 1/${last - first}`,
      `this token's row, times T: ${Array.from(row, (value) => numeral(value * (last - first))).join(" ")}`,
    ];
  },
});
