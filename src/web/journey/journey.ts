/**
 * One token's way through a small layer, in real numbers: 16 experts on 4 devices, 4 numbers a token.
 *
 * Words, router and experts are drawn, not trained; everything that is done to them is the routing core's.
 */
import type { BiasSetting } from "../../balance/rules.ts";
import { balanceShape, routingSettings } from "../../config/router-settings.ts";
import { type RunConfig, runSchema } from "../../config/schema.ts";
import { sigmoid } from "../../core/elementary.ts";
import { randomStream } from "../../core/random.ts";
import { NO_EXPERT } from "../../routing/assignment.ts";
import { newRouting, type Routing, route } from "../../routing/route.ts";
import { learnedBias } from "../batch/balanced.ts";
import { type ContenderName, contenderNamed } from "../batch/contenders.ts";

export const sizes = { experts: 16, topK: 4, groups: 4, devices: 4, hidden: 4, expertHidden: 4 } as const;

/** What an expert makes of the token on its way to its output, [expertHidden] each. */
export interface Inside {
  readonly gate: Float64Array;
  readonly up: Float64Array;
  /** silu(gate) ⊙ up */
  readonly inner: Float64Array;
}

export interface Journey {
  /** Of the router. */
  readonly name: ContenderName;
  readonly config: RunConfig;
  readonly routing: Routing;
  readonly token: number;
  /** [H] */
  readonly input: Float64Array;
  /** [N, H] the router's rows */
  readonly router: Float64Array;
  /** [N] of the token */
  readonly logits: Float64Array;
  readonly scores: Float64Array;
  /** [N] added to the scores for the choice */
  readonly bias: Float64Array;
  /** Experts that the token goes to, and their weights. */
  readonly chosen: readonly { readonly expert: number; readonly weight: number }[];
  /** Of each expert, whether chosen or not. */
  readonly insides: readonly Inside[];
  /** [H] of each */
  readonly outputs: readonly Float64Array[];
  /** [H] */
  readonly output: Float64Array;
}

/** Words; of Chinese text characters. */
export const wordsOf = (sentence: string): string[] => sentence.match(/\p{Script=Han}|[^\s\p{Script=Han}]+/gu) ?? [];

/** @param words at least one */
export function travel(words: readonly string[], token: number, name: ContenderName, seed: number): Journey {
  const { experts, hidden } = sizes;
  const config = configOf(words.length, name, seed);
  const router = gaussians(seed, "page-router", experts * hidden);
  const inputs = words.map((word) => gaussians(seed, `page-word/${word.toLowerCase()}`, hidden));
  const logits = Float64Array.from(
    inputs.flatMap((input) => Array.from({ length: experts }, (_, i) => dot(router, i, input))),
  );
  const settings = routingSettings(config);
  const rule = config.balance[0] as BiasSetting;
  const bias =
    rule.rule === "loss-free-bias"
      ? learnedBias(logits, rule, balanceShape(config), settings)
      : new Float64Array(experts);
  const routing = newRouting(logits, config.model, settings);
  route(routing, { bias });
  const input = inputs[token]!;
  const insides = Array.from({ length: experts }, (_, i) => insideOf(seed, i, input));
  const outputs = insides.map(({ inner }, i) => outputOf(seed, i, inner));
  const chosen = chosenOf(routing, token);
  const output = new Float64Array(hidden);
  for (const { expert, weight } of chosen) {
    for (let h = 0; h < hidden; h++) output[h] = output[h]! + weight * outputs[expert]![h]!;
  }
  const row = (matrix: { subarray(from: number, to: number): ArrayLike<number> }) =>
    Float64Array.from(matrix.subarray(token * experts, (token + 1) * experts));
  return {
    name,
    config,
    routing,
    token,
    input,
    router,
    logits: row(routing.logits),
    scores: row(routing.scores),
    bias,
    chosen,
    insides,
    outputs,
    output,
  };
}

function configOf(tokens: number, name: ContenderName, seed: number): RunConfig {
  const contender = contenderNamed(name);
  const { experts, groups, devices, hidden } = sizes;
  return runSchema.parse({
    name: "page",
    seed,
    model: { experts, groups, topK: contender.topK ?? sizes.topK, hiddenSize: hidden, heads: 1, context: tokens },
    router: { selection: contender.selection, "group-limited": { limit: 2 } },
    balance: [{ rule: contender.balance ?? "switch-loss" }],
    training: { sequences: 1 },
    data: { kind: "synthetic", topics: 1, skew: 0, noise: 0 },
    cluster: { devices },
  });
}

function gaussians(seed: number, purpose: string, count: number): Float64Array {
  const random = randomStream(seed, purpose);
  return Float64Array.from({ length: count }, () => random.gaussian());
}

/** A row of a matrix [rows, input.length] times the input. */
export function dot(matrix: Float64Array, row: number, input: Float64Array): number {
  return input.reduce((sum, value, h) => sum + matrix[row * input.length + h]! * value, 0);
}

/** SwiGLU: down · (silu(gate · h) ⊙ (up · h)). */
function insideOf(seed: number, expert: number, input: Float64Array): Inside {
  const rows = Array.from({ length: sizes.expertHidden }, (_, f) => f);
  const [gate, up] = ["gate", "up"].map((part) => {
    const matrix = expertMatrix(seed, expert, part);
    return Float64Array.from(rows, (f) => dot(matrix, f, input));
  }) as [Float64Array, Float64Array];
  return { gate, up, inner: gate.map((value, f) => value * sigmoid(value) * up[f]!) };
}

function outputOf(seed: number, expert: number, inner: Float64Array): Float64Array {
  const down = expertMatrix(seed, expert, "down").map((value) => value / 2);
  return Float64Array.from({ length: sizes.hidden }, (_, h) => dot(down, h, inner));
}

const expertMatrix = (seed: number, expert: number, part: string): Float64Array =>
  gaussians(seed, `page-expert/${expert}/${part}`, sizes.hidden * sizes.expertHidden);

function chosenOf({ assignment: { slots, experts, weights } }: Routing, token: number): Journey["chosen"] {
  return Array.from({ length: slots }, (_, j) => token * slots + j)
    .filter((at) => experts[at] !== NO_EXPERT)
    .map((at) => ({ expert: experts[at]!, weight: weights[at]! }));
}
