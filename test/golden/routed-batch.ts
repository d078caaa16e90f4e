/** Runs one batch of logits through the project's routing and balancing, and gives the results the cases ask for. */
import { balanceBackward, balanceForward, countSequence, newBalance, sumsOf } from "../../src/balance/balance.ts";
import type { LossContext, Sums } from "../../src/balance/rule.ts";
import { type LossSetting, lossOf } from "../../src/balance/rules.ts";
import { type StatisticName, statisticNamed } from "../../src/balance/statistics.ts";
import type { Floats } from "../../src/core/floats.ts";
import { allTokens, countLoad, NO_EXPERT, type TokenRange } from "../../src/routing/assignment.ts";
import { queuePlaces } from "../../src/routing/dropping.ts";
import {
  type AddTokenGradient,
  choose,
  newRouting,
  type RouteFacts,
  type Routing,
  type RoutingSettings,
  routeBackward,
  score,
  settle,
} from "../../src/routing/route.ts";
import type { RouterShape } from "../../src/routing/router.ts";
import { type ScoreFunctionName, scoreFunctions } from "../../src/routing/scores.ts";
import { rows } from "./golden-case.ts";

/** What a case gives beside logits. */
export interface BatchFacts extends RouteFacts {
  /** [T, K] experts that the caller chose; without it the router chooses */
  readonly choice?: Int32Array | undefined;
  /** Tokens that are routed each by themselves, as a batch of their own; without it all together. */
  readonly parts?: readonly TokenRange[] | undefined;
  /** [T] tokens that get no expert */
  readonly padding?: readonly boolean[] | undefined;
  /** [T, N] the noise, in standard deviations, and what its deviation is made of */
  readonly noise?: { readonly draws: Floats; readonly raw?: Floats | undefined } | undefined;
  /** What is given are scores, not logits. */
  readonly scored?: boolean;
  /** Changes the scores before the choice. */
  readonly rescore?: ((scores: Floats) => void) | undefined;
}

/** @param logits [T, N] */
export function routeBatch(
  logits: Floats,
  shape: RouterShape,
  settings: RoutingSettings,
  { choice, parts, padding, noise, scored = false, rescore, ...facts }: BatchFacts = {},
): Routing {
  const routing = newRouting(logits, shape, settings, { raw: noise?.raw });
  const { slots } = routing.assignment;
  if (noise !== undefined) (routing.noise!.draws as Float64Array).set(noise.draws);
  if (scored) (routing.scores as Float64Array).set(logits);
  else score(routing);
  rescore?.(routing.scores);
  for (const range of parts ?? [allTokens(routing.assignment)]) {
    if (choice === undefined) choose(routing, facts, range);
    else routing.chosen.set(choice.subarray(range.first * slots, range.last * slots), range.first * slots);
    for (let t = range.first; t < range.last; t++) {
      if (padding?.[t]) routing.chosen.fill(NO_EXPERT, t * slots, (t + 1) * slots);
    }
    settle(routing, facts, range);
  }
  return routing;
}

/** Equal runs of tokens. */
export const equalParts = (count: number, length: number): TokenRange[] =>
  Array.from({ length: count }, (_, i) => ({ first: i * length, last: (i + 1) * length }));

/** Tokens of [S, B] in the order [B, S], or the other way round. @returns the place in the old order of each new one */
export const transposed = (outer: number, inner: number): number[] =>
  Array.from({ length: outer * inner }, (_, t) => (t % outer) * inner + Math.floor(t / outer));

/** Some rows of a matrix. [T, N] → [places, N] */
export const rowsAt = (values: Floats, columns: number, places: readonly number[]): Float64Array =>
  Float64Array.from(places.flatMap((place) => Array.from(values.subarray(place * columns, (place + 1) * columns))));

/** Puts rows back where `rowsAt` took them from; the others are zero. */
export function rowsBack(
  part: readonly number[][],
  columns: number,
  places: readonly number[],
  count: number,
): number[][] {
  const all = Array.from({ length: count }, () => new Array<number>(columns).fill(0));
  for (const [i, place] of places.entries()) all[place] = part[i]!;
  return all;
}

/** The experts of each token, as the router ordered them; NO_EXPERT in empty slots. */
export const chosenRows = ({ assignment: { slots }, chosen }: Routing): number[][] => rows(chosen, slots);

export const keptRows = ({ assignment: { slots, experts } }: Routing): number[][] => rows(experts, slots);

export const weightRows = ({ assignment: { slots, weights } }: Routing): number[][] => rows(weights, slots);

/** The experts that each token keeps in ascending order, their weights beside them, and their places in `more`. */
export function ascending(routing: Routing, more: ArrayLike<number> = []) {
  const { slots, experts, weights, tokens } = routing.assignment;
  const kept = Array.from({ length: tokens }, (_, t) =>
    Array.from({ length: slots }, (_, j) => t * slots + j)
      .filter((slot) => experts[slot] !== NO_EXPERT)
      .sort((a, b) => experts[a]! - experts[b]!),
  );
  const of = (values: ArrayLike<number>) => kept.map((row) => row.map((slot) => values[slot]!));
  return { experts: of(experts), weights: of(weights), more: of(more) };
}

/** Assignments of each expert that are kept. */
export function keptLoad({ assignment, shape }: Routing, range?: TokenRange): Float64Array {
  const load = new Float64Array(shape.experts);
  countLoad(assignment, load, range);
  return load;
}

/** Assignments of each expert before any is dropped. */
export const expertLoad = (routing: Routing, range?: TokenRange): Float64Array =>
  keptLoad({ ...routing, assignment: { ...routing.assignment, experts: routing.chosen } }, range);

/** The place of each kept assignment among those of its expert, in the order of the tokens. [T, slots] */
export function tokenOrderPlaces({ assignment, scores, shape }: Routing): Int32Array {
  const settings = { order: "token", priority: "position" } as const;
  const bins = { binOf: Int32Array.from({ length: shape.experts }, (_, expert) => expert), bins: shape.experts };
  return queuePlaces(assignment, bins, { settings, scores, ...allTokens(assignment) });
}

/** d Σ weight·v / d logits, [T, N]. @param v [T, N] */
export function weightedSumGradient(routing: Routing, v: Floats, add?: AddTokenGradient): number[][] {
  const { experts } = routing.shape;
  const byWeight = Float64Array.from(
    keptRows(routing).flatMap((row, t) => row.map((e) => (e === NO_EXPERT ? 0 : v[t * experts + e]!))),
  );
  const byLogit = new Float64Array(routing.logits.length);
  routeBackward(routing, { weights: byWeight, logits: byLogit }, add);
  return rows(byLogit, experts);
}

/** A balancing loss and what it asks of the logits. */
export interface Balanced {
  /** Coefficients applied. */
  readonly loss: number;
  /** d loss / d logits before any noise, [T, N] */
  readonly gradient: number[][];
  /** [T, N] by the second projection of learned noise */
  readonly raw: number[][];
  readonly sums: Sums;
  readonly add: AddTokenGradient;
}

/** What a loss alone asks of the logits. */
function gradients(routing: Routing, add: AddTokenGradient) {
  const byLogit = new Float64Array(routing.logits.length);
  const raw = new Float64Array(routing.noise?.raw === undefined ? 0 : routing.logits.length);
  const weights = new Float64Array(routing.assignment.weights.length);
  routeBackward(routing, { weights, logits: byLogit, ...(raw.length > 0 && { raw }) }, add);
  return { gradient: rows(byLogit, routing.shape.experts), raw: rows(raw, routing.shape.experts) };
}

/** The losses of one micro-batch as a training step has them. @param sequences equal runs of the tokens */
export function balance(
  routing: Routing,
  settings: readonly LossSetting[],
  { sequences = 1, devices = 1 }: { sequences?: number; devices?: number } = {},
): Balanced {
  const shape = { ...routing.shape, devices };
  const sequenceLength = routing.assignment.tokens / sequences;
  const state = newBalance({ settings, shape, ranks: 1, sequenceLength }, sequences);
  for (let sequence = 0; sequence < sequences; sequence++) countSequence(state, routing, sequence);
  const loss = balanceForward(state);
  const add = balanceBackward(state, routing);
  return { loss, ...gradients(routing, add), sums: state.sums, add };
}

/** What a part of a batch is measured by, where that is not the part itself. */
export interface Whole {
  /** Sums that are counts: of all parts. */
  readonly counts?: Partial<Sums>;
  readonly tokens: number;
  readonly countedTokens?: number;
}

/**
 * One loss of a part of a batch: its own probabilities against the counts of the whole. For ranks, sequences and
 * micro-batches of unequal numbers of tokens, which padding makes.
 * @param routing the tokens of the part alone
 */
export function lossOfPart(routing: Routing, setting: LossSetting, whole: Whole, devices = 1): Balanced {
  const shape = { ...routing.shape, devices };
  const loss = lossOf(setting);
  const names = loss.statistics(setting);
  const sums = { ...sumsOfPart(routing, names, devices), ...whole.counts } as Sums;
  const bySums = sumsOf(names, shape, (width) => new Float64Array(width));
  const { tokens, countedTokens = tokens } = whole;
  const context: LossContext = { shape, sums, tokens, countedTokens, state: 0 };
  const value = setting.coefficient * loss.evaluate(context, bySums, setting);
  for (const name of names) bySums[name].set(bySums[name].map((each) => setting.coefficient * each));
  const add: AddTokenGradient = (token, gradient) => {
    for (const name of names) statisticNamed(name).addGradient?.(routing, token, bySums[name], gradient);
  };
  return { loss: value, ...gradients(routing, add), sums, add };
}

/** Statistics of all tokens of a routing. */
export function sumsOfPart(routing: Routing, names: readonly StatisticName[], devices = 1): Sums<Float64Array> {
  const shape = { ...routing.shape, devices };
  const sums = sumsOf(names, shape, (width) => new Float64Array(width));
  for (const name of names) statisticNamed(name).add(routing, allTokens(routing.assignment), sums[name], shape);
  return sums;
}

/** @throws Error if the name is none of the project's */
export function scoreFunctionOf(name: unknown): ScoreFunctionName {
  const known = String(name ?? "softmax");
  if (!Object.hasOwn(scoreFunctions, known))
    throw new Error(`score function '${known}' is not one of ${Object.keys(scoreFunctions).join(", ")}`);
  return known as ScoreFunctionName;
}
