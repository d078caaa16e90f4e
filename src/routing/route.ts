/**
 * The routing pass, forward and backward: logits (→ noise) → scores → chosen experts (→ capacity) → weights.
 *
 * Selection rule, score function, normalisation, scale and capacity are separate settings, so that two routers can be
 * compared with everything else equal. The published combinations have names in presets.ts.
 */
import type { Floats } from "../core/floats.ts";
import { defaultsOf } from "../core/knob.ts";
import { type Assignment, allTokens, countLoad, emptyAssignment, NO_EXPERT, type TokenRange } from "./assignment.ts";
import { type CapacitySettings, expertCapacity } from "./capacity.ts";
import { type Bins, dropOverflow } from "./dropping.ts";
import { expertScaleGradient, type GateSettings, type Gates, weigh, weighBackward } from "./gates.ts";
import { addNoise, drawNoise, type Noise, rawGradient } from "./noise.ts";
import type { RouterShape, TokenFacts } from "./router.ts";
import { type RouterName, routerNamed } from "./routers.ts";
import { type ScoreFunctionName, scoreFunctions } from "./scores.ts";

/** A capacity, and where the experts lie if devices have one. */
export interface RoutingCapacity extends CapacitySettings {
  /** [N] device of each expert; for capacities of devices */
  readonly deviceOf?: Int32Array;
  /** D */
  readonly devices?: number;
}

export interface RoutingSettings extends GateSettings {
  readonly selection: RouterName;
  /** Values of the router's own knobs; those that are absent have their defaults. */
  readonly options?: Readonly<Record<string, unknown>> | undefined;
  readonly scoreFunction: ScoreFunctionName;
  /** Absent: nothing is dropped. */
  readonly capacity?: RoutingCapacity | undefined;
}

/** A batch of tokens on its way through a router; an engine lends its own memory. */
export interface Routing extends Gates {
  readonly shape: RouterShape;
  readonly settings: RoutingSettings;
  /** [T, N] what the scores are made of: with the noise, where there is any */
  readonly logits: Floats;
  /** [T, N], written by `score` */
  readonly scores: Floats;
  readonly assignment: Assignment;
  /** Where training adds noise. */
  readonly noise?: Noise | undefined;
}

/** All of a router's options. */
export function optionsOf({ selection, options }: Pick<RoutingSettings, "selection" | "options">) {
  return { ...defaultsOf(routerNamed(selection).knobs ?? {}), ...options };
}

/** Whether a selection bias shifts the choice with these settings. */
export function goesByBias(settings: Pick<RoutingSettings, "selection" | "options">): boolean {
  const { promises, ignoresBias } = routerNamed(settings.selection);
  return promises.biased === true && ignoresBias?.(optionsOf(settings) as never) !== true;
}

/** Places for experts that a token has with these settings. */
export function slotsOf({ selection }: Pick<RoutingSettings, "selection">, shape: RouterShape): number {
  return routerNamed(selection).slots?.(shape) ?? shape.topK;
}

/** What a routing may be given beside its logits. */
export interface Lent {
  /** [T, N] for learned noise */
  readonly raw?: Floats | undefined;
  /** [T, N] memory of the scores, or scores that need not be computed again */
  readonly scores?: Floats;
}

/** Nothing routed yet, in doubles. @param logits [T, N] */
export function newRouting(logits: Floats, shape: RouterShape, settings: RoutingSettings, lent: Lent = {}): Routing {
  const { refuses } = routerNamed(settings.selection);
  const assignment = emptyAssignment(logits.length / shape.experts, slotsOf(settings, shape), refuses);
  const routing = {
    shape,
    settings,
    logits,
    scores: lent.scores ?? new Float64Array(logits.length),
    chosen: settings.capacity === undefined ? assignment.experts : assignment.experts.slice(),
    assignment,
  };
  const noise = routerNamed(settings.selection).noise?.(optionsOf(settings) as never);
  if (noise === undefined) return routing;
  const draws = new Float64Array(logits.length);
  return {
    ...routing,
    logits: new Float64Array(logits.length),
    noise: { settings: noise, clean: logits, raw: lent.raw, draws },
  };
}

/** What a pass goes by beside the logits. */
export interface RouteFacts extends TokenFacts {
  /** [N] added to the scores for the choice alone */
  readonly bias?: Floats | undefined;
}

/** Scores, chooses, drops and weighs the tokens of a range, which is the whole batch to rules that look at one. */
export function route(
  routing: Routing,
  facts: RouteFacts = {},
  range: TokenRange = allTokens(routing.assignment),
): void {
  const { shape, noise } = routing;
  if (noise !== undefined) {
    if (facts.training === false) noise.draws.fill(0, range.first * shape.experts, range.last * shape.experts);
    else drawNoise(noise, facts.random!, range, shape.experts);
  }
  score(routing, range);
  choose(routing, facts, range);
  settle(routing, facts, range);
}

/** The first part of `route`: logits, with the noise drawn before → scores. */
export function score(routing: Routing, range: TokenRange = allTokens(routing.assignment)): void {
  const { shape, settings, logits, scores, noise } = routing;
  const { forward } = scoreFunctions[settings.scoreFunction];
  if (noise !== undefined) addNoise(noise, logits, range, shape.experts);
  for (let t = range.first; t < range.last; t++) forward(logits, scores, t * shape.experts, shape.experts);
}

/** The second part: scores → chosen experts. */
export function choose(
  { shape, settings, logits, scores, chosen, assignment }: Routing,
  facts: RouteFacts = {},
  range: TokenRange = allTokens(assignment),
): void {
  const input = { shape, options: optionsOf(settings), logits, scores, ...facts, ...range };
  routerNamed(settings.selection).select(input as never, { ...assignment, experts: chosen });
}

/** The last part: chosen experts → weights of those that find room. */
export function settle(
  routing: Routing,
  facts: RouteFacts = {},
  range: TokenRange = allTokens(routing.assignment),
): void {
  const { settings, chosen, assignment, scores } = routing;
  const { capacity } = settings;
  if (capacity !== undefined) {
    const [from, to] = [range.first * assignment.slots, range.last * assignment.slots];
    assignment.experts.set(chosen.subarray(from, to), from);
    const byWeight = capacity.order === "weight";
    if (byWeight) weigh(routing, range);
    dropOverflow(assignment, binsOf(routing, capacity, range), { settings: capacity, scores, ...facts, ...range });
    if (byWeight && !capacity.renormalise) return; // those that are left keep their weights
  }
  weigh(routing, range);
}

/** The capacities of a batch. */
export function binsOf({ shape, chosen, assignment }: Routing, capacity: RoutingCapacity, range: TokenRange): Bins {
  const { experts } = shape;
  const load = new Int32Array(experts);
  countLoad({ ...assignment, experts: chosen }, load, range);
  const needed = load.reduce((most, each) => Math.max(most, each), 0);
  const ofExpert = expertCapacity(range.last - range.first, shape, capacity, needed);
  if (capacity.level === "expert") return { binOf: load.map((_, expert) => expert), bins: experts, capacity: ofExpert };
  const { deviceOf, devices } = capacity;
  if (deviceOf === undefined || devices === undefined) throw new RangeError("capacity: no devices to share it");
  // Rounded up for an expert first, as MindSpeed's and MT-MegatronLM's code does.
  return { binOf: deviceOf, bins: devices, capacity: Math.floor((ofExpert * experts) / devices) };
}

/** The gradient of one token on its way back; what is asked of each is added to it. */
export interface TokenGradient {
  /** [slots] by its gate weights */
  readonly weights: Float64Array;
  /** [N] by its scores */
  readonly scores: Float64Array;
  /** [N] by its logits, with the noise */
  readonly logits: Float64Array;
  /** [N] by its logits before the noise, beside what comes through the noisy ones */
  readonly clean: Float64Array;
  /** [N] by the standard deviations of its noise, beside what comes through the noisy logits */
  readonly deviation: Float64Array;
}

export interface RoutingGradients {
  /** [T, slots] by the gate weights; read */
  readonly weights: Floats;
  /** [T, N] by the logits before any noise; written */
  readonly logits: Floats;
  /** [T, N] by the second projection of learned noise; written */
  readonly raw?: Floats | undefined;
  /** [N] by the experts' learned scales; added to */
  readonly expertScale?: Floats | undefined;
}

/** Adds what something else than the model's loss, such as a balancing loss, asks of a token. */
export type AddTokenGradient = (token: number, gradient: TokenGradient) => void;

/** The gradient by the logits, the choice held constant. */
export function routeBackward(
  routing: Routing,
  gradients: RoutingGradients,
  addGradient?: AddTokenGradient,
  { first, last }: TokenRange = allTokens(routing.assignment),
): void {
  const { settings, logits, scores, noise, assignment } = routing;
  const { experts } = routing.shape;
  const { slots } = assignment;
  const { backward } = scoreFunctions[settings.scoreFunction];
  const numbers = () => new Float64Array(experts);
  const gradient: TokenGradient = {
    weights: new Float64Array(slots),
    scores: numbers(),
    logits: numbers(),
    clean: numbers(),
    deviation: numbers(),
  };
  for (let t = first; t < last; t++) {
    for (const part of [gradient.scores, gradient.logits, gradient.clean, gradient.deviation]) part.fill(0);
    for (let j = 0; j < slots; j++) gradient.weights[j] = gradients.weights[t * slots + j]!;
    addGradient?.(t, gradient);
    if (gradients.expertScale) expertScaleGradient(routing, t, gradient.weights, gradients.expertScale);
    weighBackward(routing, t, gradient.weights, gradient.scores);
    backward(logits, scores, t * experts, gradient.scores);
    for (let i = 0; i < experts; i++) {
      const byNoisy = gradient.scores[i]! + gradient.logits[i]!;
      const at = t * experts + i;
      gradients.logits[at] = byNoisy + gradient.clean[i]!;
      if (gradients.raw && noise) gradients.raw[at] = rawGradient(noise, at, byNoisy, gradient.deviation[i]!);
    }
  }
}

/** Assignments that were chosen but found no room. */
export function countDropped({ chosen, assignment }: Pick<Routing, "chosen" | "assignment">): number {
  let dropped = 0;
  assignment.experts.forEach((expert, slot) => {
    if (expert === NO_EXPERT && chosen[slot] !== NO_EXPERT) dropped++;
  });
  return dropped;
}
