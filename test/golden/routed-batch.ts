/** Runs one batch of logits through the project's routing and balancing, and gives the results the cases ask for. */
import {
  balanceBackward,
  balanceForward,
  countSequence,
  newBalance,
  newStepLoad,
  type StepLoad,
} from "../../src/balance/balance.ts";
import type { BalanceScope } from "../../src/balance/rule.ts";
import type { Floats } from "../../src/core/floats.ts";
import { countLoad } from "../../src/routing/assignment.ts";
import { weigh } from "../../src/routing/gates.ts";
import {
  newRouting,
  type Routing,
  type RoutingSettings,
  route,
  routeBackward,
  score,
} from "../../src/routing/route.ts";
import type { RouterShape } from "../../src/routing/router.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { rows } from "./golden-case.ts";

/** @param choice [T, K] experts that the caller chose; without it the router chooses */
export function routeBatch(
  logits: Floats,
  shape: RouterShape,
  settings: RoutingSettings,
  { bias, choice }: { bias?: Floats | undefined; choice?: Int32Array | undefined } = {},
): Routing {
  const routing = newRouting(logits, shape, settings);
  if (choice === undefined) route(routing, bias);
  else {
    score(routing);
    routing.assignment.experts.set(choice);
    weigh(routing);
  }
  return routing;
}

/** The experts of each token, as the router ordered them. */
export const chosenRows = ({ assignment: { slots, experts } }: Routing): number[][] => rows(experts, slots);

export const weightRows = ({ assignment: { slots, weights } }: Routing): number[][] => rows(weights, slots);

/** Experts of each token in ascending order, their weights beside them. */
export function ascending(routing: Routing): { experts: number[][]; weights: number[][] } {
  const weights = weightRows(routing);
  const pairs = chosenRows(routing).map((row, t) =>
    row.map((expert, j) => ({ expert, weight: weights[t]![j]! })).sort((a, b) => a.expert - b.expert),
  );
  return {
    experts: pairs.map((row) => row.map(({ expert }) => expert)),
    weights: pairs.map((row) => row.map(({ weight }) => weight)),
  };
}

export function expertLoad({ assignment, shape }: Routing): Float64Array {
  const load = new Float64Array(shape.experts);
  countLoad(assignment, load);
  return load;
}

/** d Σ weight·v / d logits, [T, N]. @param v [T, N] */
export function weightedSumGradient(routing: Routing, v: Floats): number[][] {
  const { experts } = routing.shape;
  const byWeight = Float64Array.from(chosenRows(routing).flatMap((row, t) => row.map((e) => v[t * experts + e]!)));
  const byLogit = new Float64Array(routing.logits.length);
  routeBackward(routing, { weights: byWeight, logits: byLogit });
  return rows(byLogit, experts);
}

/** The auxiliary loss of one micro-batch. */
export interface BalancedBatch {
  /** Mean over the ranks, coefficient applied. */
  readonly loss: number;
  /** [ranks, N] */
  readonly load: Floats;
  /** [ranks, N] summed probabilities */
  readonly probability: Floats;
  /** d loss / d logits, [T, N] */
  readonly gradient: number[][];
}

/**
 * @param routing its tokens are `ranks` runs of equal length
 * @param stepLoad the counts of the step so far; a fresh one without it
 */
export function balance(
  routing: Routing,
  coefficient: number,
  scope: BalanceScope = "micro-batch",
  ranks = 1,
  stepLoad: StepLoad = newStepLoad(routing.shape.experts),
): BalancedBatch {
  const { shape, assignment, logits } = routing;
  const settings = [{ rule: "switch-loss", coefficient, scope }] as const;
  const sequenceLength = assignment.tokens / ranks;
  const state = newBalance({ settings, shape, ranks, sequenceLength }, ranks, stepLoad);
  for (let rank = 0; rank < ranks; rank++) countSequence(state, routing, rank);
  const loss = balanceForward(state);
  const byLogit = new Float64Array(logits.length);
  const noWeights = new Float64Array(assignment.weights.length);
  routeBackward(routing, { weights: noWeights, logits: byLogit }, balanceBackward(state, routing));
  const { sequenceLoad: load, sequenceProbability: probability } = state;
  return { loss, load, probability, gradient: rows(byLogit, shape.experts) };
}

/** @throws Error if the name is none of the project's */
export function scoreFunctionOf(name: unknown): ScoreFunctionName {
  const known = String(name ?? "softmax");
  if (!Object.hasOwn(scoreFunctions, known))
    throw new Error(`score function '${known}' is not one of ${Object.keys(scoreFunctions).join(", ")}`);
  return known as ScoreFunctionName;
}
