/**
 * The routing pass, forward and backward: logits → scores → chosen experts → weights.
 *
 * Selection rule, score function, normalisation and scale are separate settings, so that two routers can be
 * compared with everything else equal. The published combinations have names in presets.ts.
 */
import type { Floats } from "../core/floats.ts";
import { type GateRule, type Normalisation, weigh, weighBackward } from "./gates.ts";
import type { RouterShape } from "./router.ts";
import { type RouterName, routers } from "./routers.ts";
import { type ScoreFunctionName, scoreFunctions } from "./scores.ts";

export interface RoutingRule extends GateRule {
  readonly selection: RouterName;
  readonly scoreFunction: ScoreFunctionName;
  readonly normalisation: Normalisation;
}

/** The arrays of one routing pass; an engine lends its own memory. */
export interface Routing {
  /** [T, N] */
  readonly scores: Floats;
  /** [T, K] expert ids */
  readonly chosen: Int32Array;
  /** [T, K] */
  readonly weights: Floats;
}

/** Arrays for T tokens, in doubles. */
export function emptyRouting(tokens: number, { experts, topK }: RouterShape): Routing {
  return {
    scores: new Float64Array(tokens * experts),
    chosen: new Int32Array(tokens * topK),
    weights: new Float64Array(tokens * topK),
  };
}

/**
 * Routes the tokens [first, last).
 * @param logits [T, N]
 * @param bias [N] added to the scores for the choice alone, or undefined
 * @param routing written
 */
export function route(
  logits: Floats,
  bias: Floats | undefined,
  first: number,
  last: number,
  shape: RouterShape,
  rule: RoutingRule,
  routing: Routing,
): void {
  const { forward } = scoreFunctions[rule.scoreFunction];
  for (let t = first; t < last; t++) forward(logits, routing.scores, t * shape.experts, shape.experts);
  routers[rule.selection].select(routing.scores, bias, first, last, shape, routing.chosen);
  weigh(routing.scores, routing.chosen, first, last, shape, rule, routing.weights);
}

/**
 * The gradient by the logits of the tokens [first, last).
 * @param weightGradient [T, K]
 * @param probabilityGradient adds what the balancing losses ask of token t to the gradient by its scores
 * @param logitGradient [T, N], written
 */
export function routeBackward(
  logits: Floats,
  routing: Routing,
  weightGradient: Floats,
  first: number,
  last: number,
  shape: RouterShape,
  rule: RoutingRule,
  probabilityGradient: ((token: number, scoreGradient: Float64Array) => void) | undefined,
  logitGradient: Floats,
): void {
  const { backward } = scoreFunctions[rule.scoreFunction];
  const { experts } = shape;
  const gradient = new Float64Array(experts);
  for (let t = first; t < last; t++) {
    gradient.fill(0);
    weighBackward(routing.scores, routing.chosen, weightGradient, t, shape, rule, gradient);
    probabilityGradient?.(t, gradient);
    backward(logits, routing.scores, t * experts, gradient);
    for (let i = 0; i < experts; i++) logitGradient[t * experts + i] = gradient[i]!;
  }
}

/** Assignments per expert among the tokens [first, last). @param load [N], added to */
export function countLoad(
  chosen: Int32Array,
  first: number,
  last: number,
  topK: number,
  load: Floats | Int32Array,
): void {
  for (let j = first * topK; j < last * topK; j++) {
    const expert = chosen[j]!;
    load[expert] = load[expert]! + 1;
  }
}
