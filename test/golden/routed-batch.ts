/** Runs one batch of logits through the project's routing and balancing, and gives the results the cases ask for. */
import { addProbabilityGradient, balancingLoss, type StepLoad, sumSequence } from "../../src/balance/balance.ts";
import type { BalanceSetting } from "../../src/balance/rules.ts";
import type { Floats } from "../../src/core/floats.ts";
import { weigh } from "../../src/routing/gates.ts";
import {
  countLoad,
  emptyRouting,
  type Routing,
  type RoutingRule,
  route,
  routeBackward,
} from "../../src/routing/route.ts";
import type { RouterShape } from "../../src/routing/router.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { rows } from "./golden-case.ts";

export interface RoutedBatch {
  /** [T, N] */
  readonly logits: Floats;
  readonly tokens: number;
  readonly shape: RouterShape;
  readonly rule: RoutingRule;
  readonly routing: Routing;
}

/** @param choice [T, K] experts that the caller chose; without it the rule chooses */
export function routeBatch(
  logits: Floats,
  shape: RouterShape,
  rule: RoutingRule,
  { bias, choice }: { bias?: Floats | undefined; choice?: Int32Array | undefined } = {},
): RoutedBatch {
  const tokens = logits.length / shape.experts;
  const routing = emptyRouting(tokens, shape);
  if (choice === undefined) route(logits, bias, 0, tokens, shape, rule, routing);
  else {
    const { forward } = scoreFunctions[rule.scoreFunction];
    for (let t = 0; t < tokens; t++) forward(logits, routing.scores, t * shape.experts, shape.experts);
    routing.chosen.set(choice);
    weigh(routing.scores, routing.chosen, 0, tokens, shape, rule, routing.weights);
  }
  return { logits, tokens, shape, rule, routing };
}

/** Experts of each token in ascending order, their weights beside them. */
export function ascending({ routing, shape: { topK } }: RoutedBatch): { experts: number[][]; weights: number[][] } {
  const weights = rows(routing.weights, topK);
  const pairs = rows(routing.chosen, topK).map((row, t) =>
    row.map((expert, j) => ({ expert, weight: weights[t]![j]! })).sort((a, b) => a.expert - b.expert),
  );
  return {
    experts: pairs.map((row) => row.map(({ expert }) => expert)),
    weights: pairs.map((row) => row.map(({ weight }) => weight)),
  };
}

export function expertLoad({ routing, tokens, shape }: RoutedBatch): Float64Array {
  const load = new Float64Array(shape.experts);
  countLoad(routing.chosen, 0, tokens, shape.topK, load);
  return load;
}

/** d Σ weight·v / d logits, [T, N]. @param v [T, N] */
export function weightedSumGradient({ logits, routing, tokens, shape, rule }: RoutedBatch, v: Floats): number[][] {
  const { experts, topK } = shape;
  const byWeight = Float64Array.from(routing.chosen, (expert, j) => v[Math.floor(j / topK) * experts + expert]!);
  const byLogit = new Float64Array(logits.length);
  routeBackward(logits, routing, byWeight, 0, tokens, shape, rule, undefined, byLogit);
  return rows(byLogit, experts);
}

/** The auxiliary loss of one micro-batch. */
export interface BalancedBatch {
  /** Mean over the ranks, coefficient applied. */
  readonly loss: number;
  /** [ranks, N] */
  readonly load: Float64Array;
  /** [ranks, N] summed probabilities */
  readonly probability: Float64Array;
  /** d loss / d logits, [T, N] */
  readonly gradient: number[][];
}

/**
 * @param batch its tokens are `ranks` runs of equal length
 * @param stepLoad the counts of the step so far; a fresh one without it
 */
export function balance(
  { logits, routing, tokens, shape, rule }: RoutedBatch,
  coefficient: number,
  scope: "micro-batch" | "global-batch" = "micro-batch",
  ranks = 1,
  stepLoad: StepLoad = { load: new Float64Array(shape.experts), tokens: 0 },
): BalancedBatch {
  const { experts } = shape;
  const { scoreFunction } = rule;
  const length = tokens / ranks;
  const load = new Float64Array(ranks * experts);
  const probability = new Float64Array(ranks * experts);
  for (let rank = 0; rank < ranks; rank++) {
    sumSequence(routing.scores, routing.chosen, rank, length, shape, scoreFunction, load, probability);
  }
  const settings: BalanceSetting[] = [{ rule: "switch-loss", coefficient, scope }];
  const byProbability = new Float64Array(ranks * experts);
  const loss = balancingLoss(settings, load, probability, length, ranks, shape, stepLoad, byProbability);
  const byLogit = new Float64Array(logits.length);
  const none = new Float64Array(routing.weights.length);
  const byScore = (token: number, scoreGradient: Float64Array) => {
    const row = Math.floor(token / length) * experts;
    addProbabilityGradient(routing.scores, token * experts, byProbability, row, scoreFunction, scoreGradient);
  };
  routeBackward(logits, routing, none, 0, tokens, shape, rule, byScore, byLogit);
  return { loss, load, probability, gradient: rows(byLogit, experts) };
}

/** @throws Error if the name is none of the project's */
export function scoreFunctionOf(name: unknown): ScoreFunctionName {
  const known = String(name ?? "softmax");
  if (!Object.hasOwn(scoreFunctions, known))
    throw new Error(`score function '${known}' is not one of ${Object.keys(scoreFunctions).join(", ")}`);
  return known as ScoreFunctionName;
}
