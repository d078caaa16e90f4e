/**
 * Family megatron_aux_losses: the switch loss of Megatron-LM over a micro-batch, over ranks, over the step so far and
 * over sequences, and its z-loss. Padded tokens are left out.
 */

import { cleanSoftmax } from "../../src/balance/clean-softmax.ts";
import type { Sums } from "../../src/balance/rule.ts";
import { type LossSetting, lossOf } from "../../src/balance/rules.ts";
import { sum } from "../../src/core/statistics.ts";
import type { Routing } from "../../src/routing/route.ts";
import {
  type Adapter,
  type GoldenCase,
  type Json,
  type JsonObject,
  MalformedCase,
  type Matrix,
  matrixOf,
  numberOf,
  rows,
} from "./golden-case.ts";
import { megatronRoute } from "./megatron-topk-routing.ts";
import { type Balanced, lossOfPart, rowsAt, rowsBack, sumsOfPart, type Whole } from "./routed-batch.ts";

/** Megatron's auxiliary loss: counts are those of plain top-k, whatever was chosen. */
export const megatronAuxLoss = (coefficient: number): LossSetting => ({
  rule: "switch-loss",
  coefficient,
  scope: "micro-batch",
  counts: "top-k",
  probabilities: "normalised",
});

export const zLoss = (coefficient: number): LossSetting => ({ rule: "z-loss", coefficient, scope: "micro-batch" });

export const megatronAuxLosses: Adapter = (golden) => {
  const { source, input } = golden;
  if (source.includes("z_loss")) return { fields: zLossFields(golden) };
  if (source.includes("_apply_seq_aux_loss")) return { fields: sequences(golden) };
  if (source.includes("_apply_global_aux_loss")) return { fields: globalBatch(golden) };
  if (input["logits_per_rank"]) return { fields: tensorRanks(golden) };
  return { fields: input["logits"] ? microBatch(golden) : givenProbabilities(golden) };
};

/** Some tokens of a case, without the padding. */
interface Part {
  readonly routing: Routing;
  /** Of all tokens of the case, those that are here. */
  readonly places: readonly number[];
  /** Plain top-k of each expert. */
  readonly load: Float64Array;
}

const coefficientOf = ({ params }: GoldenCase) => numberOf(params, "coeff");

/** [T] which tokens are padding. */
export function paddingOf(input: JsonObject, tokens: number): boolean[] {
  const key = Object.keys(input).find((name) => name.includes("padding") && input[name] !== null);
  if (key === undefined) return new Array<boolean>(tokens).fill(false);
  const flat = flatten(input[key]!).map(Boolean);
  if (flat.length !== tokens) throw new MalformedCase(`'${key}' has ${flat.length} entries for ${tokens} tokens`);
  return flat;
}

const flatten = (value: Json): Json[] => (Array.isArray(value) ? value.flatMap(flatten) : [value]);

/** @param places the tokens of the part, padding included */
function partOf({ values, sizes }: Matrix, { params, input }: GoldenCase, places: readonly number[]): Part {
  const experts = sizes.at(-1)!;
  const padding = paddingOf(input, values.length / experts);
  const real = places.filter((place) => !padding[place]);
  const matrix = { values: rowsAt(values, experts, real), sizes: [experts] };
  const routing = megatronRoute(matrix, {
    topk: params["topk"]!,
    score_function: params["score_function"] ?? "softmax",
  });
  return { routing, places: real, load: sumsOfPart(routing, ["top-k-load"])["top-k-load"] };
}

const added = (parts: readonly Part[]): Float64Array =>
  parts.reduce((all, { load }) => all.map((each, i) => each + load[i]!), new Float64Array(parts[0]!.load.length));

/** The loss of a part against the counts of several. */
function auxLoss({ routing }: Part, coefficient: number, load: Float64Array, whole: Omit<Whole, "counts">): Balanced {
  return lossOfPart(routing, megatronAuxLoss(coefficient), { ...whole, counts: { "top-k-load": load } });
}

/** Runs of equal length of the tokens of a case. */
const runs = (count: number, length: number, first = 0): number[][] =>
  Array.from({ length: count }, (_, i) => Array.from({ length }, (_, t) => first + i * length + t));

/** A loss of all tokens of a case with what it asks of each, and how many are no padding. */
export interface WholeLoss {
  readonly loss: number;
  /** [T, N] */
  readonly gradient: number[][];
  readonly real: number;
}

const tokensOf = ({ values, sizes }: Matrix) => values.length / sizes.at(-1)!;

/** The loss of a micro-batch; over the global batch of one rank's first micro-batch it is the same. */
export function microBatchLoss(
  logits: Matrix,
  golden: GoldenCase,
  coefficient: number,
): WholeLoss & Pick<Balanced, "sums"> {
  const tokens = tokensOf(logits);
  const part = partOf(logits, golden, runs(1, tokens)[0]!);
  const { loss, gradient, sums } = auxLoss(part, coefficient, part.load, { tokens: part.places.length });
  const back = rowsBack(gradient, logits.sizes.at(-1)!, part.places, tokens);
  return { loss, gradient: back, sums, real: part.places.length };
}

function microBatch(golden: GoldenCase) {
  const { loss, gradient, sums } = microBatchLoss(matrixOf(golden.input, "logits"), golden, coefficientOf(golden));
  return {
    tokens_per_expert: sums["top-k-load"],
    sum_scores_per_expert: sums.probability,
    aux_loss: loss,
    grad_aux_loss: gradient,
  };
}

function tensorRanks(golden: GoldenCase) {
  const logits = matrixOf(golden.input, "logits_per_rank");
  const [ranks, local, experts] = logits.sizes as [number, number, number];
  const parts = runs(ranks, local).map((places) => partOf(logits, golden, places));
  const load = added(parts);
  const tokens = sum(load) / parts[0]!.routing.shape.topK;
  const losses = parts.map((part) => auxLoss(part, coefficientOf(golden), load, { tokens }));
  const ofRank = (rank: number) => {
    const { places } = parts[rank]!;
    const own = places.map((place) => place - rank * local);
    const gradient = rowsBack(losses[rank]!.gradient, experts, own, local);
    return { aux_loss: losses[rank]!.loss, grad_aux_loss: gradient, local_tokens: places.length };
  };
  return {
    ...Object.fromEntries(parts.map((_, rank) => [`rank${rank}`, ofRank(rank)])),
    sum_over_ranks: sum(losses.map(({ loss }) => loss)),
    tokens_per_expert_global: load,
  };
}

/** Counts of all ranks, averaged over the micro-batches so far, against the tokens of the present one. */
function globalBatch(golden: GoldenCase) {
  const logits = matrixOf(golden.input, "logits");
  const [steps, ranks, local, experts] = logits.sizes as [number, number, number, number];
  let accumulated = new Float64Array(experts);
  const microbatches = Array.from({ length: steps }, (_, step) => {
    const first = step * ranks * local;
    const parts = runs(ranks, local, first).map((places) => partOf(logits, golden, places));
    const load = added(parts);
    accumulated = accumulated.map((each, i) => each + load[i]!);
    const tokens = sum(load) / parts[0]!.routing.shape.topK;
    const per_rank = parts.map((part, rank) => {
      const whole = { tokens, countedTokens: tokens * (step + 1) };
      const { loss, gradient } = auxLoss(part, coefficientOf(golden), accumulated, whole);
      const own = part.places.map((place) => place - first - rank * local);
      return { loss, grad: rowsBack(gradient, experts, own, local) };
    });
    return { per_rank, accumulated_tokens_per_expert: accumulated, ga_steps: step + 1 };
  });
  return { microbatches };
}

/** Logits come sequence-major, [S, B, N]. */
function sequences(golden: GoldenCase) {
  const logits = matrixOf(golden.input, "logits");
  const [length, batch] = logits.sizes as [number, number];
  const coefficient = coefficientOf(golden);
  const { loss, gradient, loads, real } = sequenceLoss(logits, golden, coefficient);
  return {
    seq_aux_loss: loss,
    grad_seq_aux_loss: Array.from({ length }, (_, s) => gradient.slice(s * batch, (s + 1) * batch)),
    micro_batch_aux_loss: microBatchLoss(logits, golden, coefficient).loss,
    tokens_per_seq_expert: loads,
    valid_token_count: real,
  };
}

/**
 * Each sequence by itself, mean over sequences. All are divided by the mean number of real tokens of a sequence, not
 * each by its own.
 */
export function sequenceLoss(
  logits: Matrix,
  golden: GoldenCase,
  coefficient: number,
): WholeLoss & { loads: Float64Array[] } {
  const [length, batch, experts] = logits.sizes as [number, number, number];
  const ofSequence = (b: number) => Array.from({ length }, (_, s) => s * batch + b);
  const parts = Array.from({ length: batch }, (_, b) => partOf(logits, golden, ofSequence(b)));
  const real = sum(parts.map(({ places }) => places.length));
  const losses = parts.map((part) => auxLoss(part, coefficient / batch, part.load, { tokens: real / batch }));
  const places = parts.flatMap((part) => part.places);
  const gradient = rowsBack(
    losses.flatMap((each) => each.gradient),
    experts,
    places,
    length * batch,
  );
  return { loss: sum(losses.map(({ loss }) => loss)), gradient, real, loads: parts.map(({ load }) => load) };
}

/** Sum over the real tokens, divided by their number, or by 1 where there are none. */
export function wholeZLoss(logits: Matrix, golden: GoldenCase, coefficient: number): WholeLoss {
  const tokens = tokensOf(logits);
  const part = partOf(logits, { ...golden, params: { topk: 1 } }, runs(1, tokens)[0]!);
  const real = part.places.length;
  const { loss, gradient } = lossOfPart(part.routing, zLoss(coefficient), { tokens: Math.max(real, 1) });
  return { loss, gradient: rowsBack(gradient, logits.sizes.at(-1)!, part.places, tokens), real };
}

export function zLossFields(golden: GoldenCase) {
  const logits = matrixOf(golden.input, "logits");
  const { loss, gradient } = wholeZLoss(logits, golden, numberOf(golden.params, "coeff", 1));
  const all = megatronRoute(logits, { topk: 1 });
  return {
    logsumexp: Array.from({ length: tokensOf(logits) }, (_, t) => cleanSoftmax(all, t).logSum),
    z_loss: loss,
    grad_z_loss: gradient,
  };
}

/** No logits: probabilities as numbers, or in words. */
function givenProbabilities(golden: GoldenCase) {
  const { params, input } = golden;
  const load = matrixOf(input, "tokens_per_expert").values;
  const experts = load.length;
  const shape = { experts, topK: numberOf(params, "topk"), groups: 1, devices: 1 };
  const words = input["probs"] ?? "uniform";
  const tokens = sum(load) / shape.topK;
  const probability = new Float64Array(experts);
  if (Array.isArray(words)) {
    for (const row of rows(matrixOf(input, "probs").values, experts)) {
      probability.set(probability.map((each, i) => each + row[i]!));
    }
  } else {
    const one = /all mass on expert (\d+)/.exec(String(words));
    if (one) probability[Number(one[1])] = tokens;
    else if (/uniform|1\/E|1\/\d/.test(String(words))) probability.fill(tokens / experts);
    else throw new MalformedCase(`probabilities in words that say nothing: '${String(words)}'`);
  }
  const setting = megatronAuxLoss(coefficientOf(golden));
  const sums = { "top-k-load": load, probability } as unknown as Sums;
  const bySums = { probability: new Float64Array(experts) } as unknown as Sums<Float64Array>;
  const context = { shape, sums, tokens, countedTokens: tokens, state: 0 };
  return { aux_loss: setting.coefficient * lossOf(setting).evaluate(context, bySums, setting) };
}
