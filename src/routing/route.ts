/**
 * The routing pass, forward and backward: logits → scores → chosen experts → weights.
 *
 * Selection rule, score function, normalisation and scale are separate settings, so that two routers can be
 * compared with everything else equal. The published combinations have names in presets.ts.
 */
import type { Floats } from "../core/floats.ts";
import { type Assignment, allTokens, emptyAssignment, type TokenRange } from "./assignment.ts";
import { type GateSettings, type Gates, weigh, weighBackward } from "./gates.ts";
import type { RouterShape } from "./router.ts";
import { type RouterName, routers } from "./routers.ts";
import { type ScoreFunctionName, scoreFunctions } from "./scores.ts";

export interface RoutingSettings extends GateSettings {
  readonly selection: RouterName;
  readonly scoreFunction: ScoreFunctionName;
}

/** A batch of tokens on its way through a router; an engine lends its own memory. */
export interface Routing extends Gates {
  readonly shape: RouterShape;
  readonly settings: RoutingSettings;
  /** [T, N] */
  readonly logits: Floats;
  /** [T, N], written by `score` */
  readonly scores: Floats;
  readonly assignment: Assignment;
}

/** Nothing routed yet, in doubles. @param logits [T, N] */
export function newRouting(logits: Floats, shape: RouterShape, settings: RoutingSettings): Routing {
  const scores = new Float64Array(logits.length);
  const assignment = emptyAssignment(logits.length / shape.experts, shape.topK);
  return { shape, settings, logits, scores, assignment };
}

/** Scores, chooses and weighs. @param bias [N] added to the scores for the choice alone */
export function route(routing: Routing, bias?: Floats, range: TokenRange = allTokens(routing.assignment)): void {
  const { shape, settings, logits, scores, assignment } = routing;
  score(routing, range);
  routers[settings.selection].select({ shape, logits, scores, bias, ...range }, assignment);
  weigh(routing, range);
}

/** The first part of `route`: logits → scores. */
export function score(routing: Routing, { first, last }: TokenRange = allTokens(routing.assignment)): void {
  const { shape, settings, logits, scores } = routing;
  const { forward } = scoreFunctions[settings.scoreFunction];
  for (let t = first; t < last; t++) forward(logits, scores, t * shape.experts, shape.experts);
}

export interface RoutingGradients {
  /** [T, slots] by the gate weights; read */
  readonly weights: Floats;
  /** [T, N] by the logits; written */
  readonly logits: Floats;
}

/** Adds what something else than the gates, such as a balancing loss, asks of a token to the gradient [N] by its scores. */
export type AddScoreGradient = (token: number, scoreGradient: Float64Array) => void;

/** The gradient by the logits, the choice held constant. */
export function routeBackward(
  routing: Routing,
  gradients: RoutingGradients,
  addScoreGradient?: AddScoreGradient,
  { first, last }: TokenRange = allTokens(routing.assignment),
): void {
  const { settings, logits, scores } = routing;
  const { experts } = routing.shape;
  const { backward } = scoreFunctions[settings.scoreFunction];
  const gradient = new Float64Array(experts);
  for (let t = first; t < last; t++) {
    gradient.fill(0);
    weighBackward(routing, t, gradients.weights, gradient);
    addScoreGradient?.(t, gradient);
    backward(logits, scores, t * experts, gradient);
    for (let i = 0; i < experts; i++) gradients.logits[t * experts + i] = gradient[i]!;
  }
}
