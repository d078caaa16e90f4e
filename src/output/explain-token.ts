/**
 * The journey of one token through a router, step by step with its own numbers. The words come from the tables of
 * routers, score functions, normalisations and capacities, so that a new entry explains itself.
 */

import { NO_EXPERT } from "../routing/assignment.ts";
import { capacityLevels, capacityRules, dropOrders, tokenPriorities } from "../routing/capacity.ts";
import { normalisations, scoreDivisor } from "../routing/gates.ts";
import { deviationAt, noiseKinds } from "../routing/noise.ts";
import { binsOf, optionsOf, type RouteFacts, type Routing } from "../routing/route.ts";
import { routerNamed } from "../routing/routers.ts";
import { scoreFunctions } from "../routing/scores.ts";
import { expertFigures } from "./expert-figures.ts";
import { figure, wrapped } from "./plain-text.ts";

export interface Journey {
  readonly routing: Routing;
  readonly facts: RouteFacts;
  readonly token: number;
  /** [N] */
  readonly deviceOf?: Int32Array | undefined;
}

/** @returns lines of at most 80 letters */
export function explainToken(journey: Journey): string[] {
  const steps = [
    logitsStep(journey),
    noiseStep(journey),
    scoresStep(journey),
    biasStep(journey),
    choiceStep(journey),
    capacityStep(journey),
    weightsStep(journey),
    devicesStep(journey),
  ].filter((step) => step.length > 0);
  return steps.flatMap(([title = "", ...lines], i) => [
    ...(i === 0 ? [] : [""]),
    ...wrapped(title, `${i + 1}. `, "   "),
    ...lines,
  ]);
}

const text = (words: string): string[] => wrapped(words, "   ", "     ");
const row = <Values extends { subarray(from: number, to: number): ArrayLike<number> }>(
  { routing: { shape }, token }: Journey,
  matrix: Values,
): ArrayLike<number> => matrix.subarray(token * shape.experts, (token + 1) * shape.experts);
const slotsOf = ({ routing: { assignment }, token }: Journey, experts: Int32Array): number[] =>
  Array.from(experts.subarray(token * assignment.slots, (token + 1) * assignment.slots));
const chosenBy = (journey: Journey): number[] =>
  slotsOf(journey, journey.routing.chosen).filter((e) => e !== NO_EXPERT);

function logitsStep(journey: Journey): string[] {
  const { routing, token } = journey;
  return [
    `logits x of token ${token}, by expert`,
    ...expertFigures(row(journey, routing.noise?.clean ?? routing.logits)),
  ];
}

function noiseStep(journey: Journey): string[] {
  const { routing, facts, token } = journey;
  const { noise, shape } = routing;
  if (noise === undefined) return [];
  if (facts.training === false) return ["noise: none without training"];
  const deviations = Array.from({ length: shape.experts }, (_, i) => deviationAt(noise, token * shape.experts + i));
  return [
    `noise, in training: h = x + ε · deviation; ${noiseKinds[noise.settings.kind]}, scale ${figure(noise.settings.scale)}`,
    ...text("ε, standard normal"),
    ...expertFigures(row(journey, noise.draws as Float64Array)),
    ...text("deviation"),
    ...expertFigures(deviations),
    ...text("noisy logits h, which take the place of x from here on"),
    ...expertFigures(row(journey, routing.logits)),
  ];
}

function scoresStep(journey: Journey): string[] {
  const { title, formula } = scoreFunctions[journey.routing.settings.scoreFunction];
  return [`scores s, ${title}: ${formula}`, ...expertFigures(row(journey, journey.routing.scores))];
}

function biasStep(journey: Journey): string[] {
  const { bias } = journey.facts;
  if (bias === undefined || !bias.some((shift) => shift !== 0)) return [];
  const scores = row(journey, journey.routing.scores);
  const isUsed = routerNamed(journey.routing.settings.selection).promises.biased === true;
  return [
    `selection bias b: experts are compared by s + b, and weighed by s alone${isUsed ? "" : " (this router ignores it)"}`,
    ...expertFigures(Array.from(bias, (shift, i) => scores[i]! + shift)),
  ];
}

function choiceStep(journey: Journey): string[] {
  const { routing, facts, token } = journey;
  const { settings, shape, logits, scores, chosen, assignment } = routing;
  const router = routerNamed(settings.selection);
  const input = { shape, options: optionsOf(settings), logits, scores, ...facts, first: 0, last: assignment.tokens };
  const words = router.explain?.(input as never, token, { ...assignment, experts: chosen }) ?? [];
  const own = row(journey, scores);
  const rank = (expert: number) =>
    1 + Array.from(own).filter((score, i) => score > own[expert]! || (score === own[expert] && i < expert)).length;
  const picked = chosenBy(journey).map(
    (expert) => `${expert} (score ${figure(own[expert]!)}, no. ${rank(expert)} by score)`,
  );
  return [
    `choice: ${router.title}`,
    ...text(`K = ${shape.topK}, N = ${shape.experts}, M = ${shape.groups}; ${router.summary}`),
    ...words.flatMap(text),
    ...text(picked.length === 0 ? "chosen: no expert" : `chosen: ${picked.join(", ")}`),
  ];
}

function capacityStep(journey: Journey): string[] {
  const { routing, token } = journey;
  const { settings, assignment, shape, chosen } = routing;
  const { capacity } = settings;
  if (capacity === undefined) return [];
  const { binOf, bins, capacity: size } = binsOf(routing, capacity, { first: 0, last: assignment.tokens });
  const wanted = new Int32Array(bins);
  for (const expert of chosen) if (expert !== NO_EXPERT) wanted[binOf[expert]!] = wanted[binOf[expert]!]! + 1;
  const kept = slotsOf(journey, assignment.experts);
  const fates = slotsOf(journey, chosen).flatMap((expert, j) => {
    if (expert === NO_EXPERT) return [];
    const fate = kept[j] === NO_EXPERT ? "DROPPED" : "kept";
    const bin = capacity.level === "device" ? `expert ${expert} on device ${binOf[expert]}` : `expert ${expert}`;
    return [`${bin}: chosen ${wanted[binOf[expert]!]} times by the batch, room for ${size}: token ${token} is ${fate}`];
  });
  const rule = capacityRules[capacity.rule];
  return [
    `capacity: ${rule.formula}`,
    ...text(
      `T = ${assignment.tokens}, K = ${shape.topK}, N = ${shape.experts}, factor ${capacity.factor}: ${size}; ${rule.source}`,
    ),
    ...text(capacityLevels[capacity.level]),
    ...text(`${dropOrders[capacity.order]}; ${tokenPriorities[capacity.priority]}`),
    ...fates.flatMap(text),
  ];
}

function weightsStep(journey: Journey): string[] {
  const { routing, token } = journey;
  const { settings, assignment, scores, shape } = routing;
  const { normalisation, scale } = settings;
  const scoreOf = (expert: number) => scores[token * shape.experts + expert]!;
  const divisor = scoreDivisor(routing, token);
  const lines = slotsOf(journey, assignment.experts).flatMap((expert, j) => {
    if (expert === NO_EXPERT) return [];
    const weight = assignment.weights[token * assignment.slots + j]!;
    return [`w_${expert} = ${derivation(weight, scoreOf(expert), divisor, scale)}`];
  });
  const mass =
    lines.length === 0
      ? "no expert is left: the token takes the residual path alone"
      : `their sum, the gate mass: ${figure(massOf(journey))}`;
  return [
    `weights w: ${normalisations[normalisation]}${scale === 1 ? "" : `; times the scale, ${figure(scale)}`}`,
    ...lines.flatMap(text),
    ...text(mass),
  ];
}

function massOf({ routing: { assignment }, token }: Journey): number {
  const own = assignment.weights.subarray(token * assignment.slots, (token + 1) * assignment.slots);
  return Array.from(own).reduce((sum, weight) => sum + weight, 0);
}

/** A weight with the formula that gives it, where it is one of the usual. */
function derivation(weight: number, score: number, divisor: number, scale: number): string {
  const isNear = (value: number) => Math.abs(value - weight) <= 1e-9 * Math.abs(weight);
  const times = scale === 1 ? "" : ` · ${figure(scale)}`;
  if (isNear(score * scale)) return times === "" ? figure(weight) : `${figure(score)}${times} = ${figure(weight)}`;
  if (isNear((score / divisor) * scale)) return `${figure(score)} / ${figure(divisor)}${times} = ${figure(weight)}`;
  return figure(weight);
}

function devicesStep(journey: Journey): string[] {
  const { deviceOf, routing } = journey;
  const kept = slotsOf(journey, routing.assignment.experts).filter((expert) => expert !== NO_EXPERT);
  if (deviceOf === undefined || kept.length === 0) return [];
  const places = kept.map((expert) => `expert ${expert} on device ${deviceOf[expert]}`).join(", ");
  const distinct = new Set(kept.map((expert) => deviceOf[expert])).size;
  return [
    "devices: equal runs of neighbouring experts",
    ...text(places),
    ...text(`fan-out: ${distinct} with de-duplication, ${kept.length} copies without`),
  ];
}
