/** Family tokens_choose_flaxformer: TokensChooseMaskedRouter and TokensChooseScatterRouter. Groups are [groups, T, N]. */
import type { TokenRange } from "../../src/routing/assignment.ts";
import { queuePlaces } from "../../src/routing/dropping.ts";
import { routingPresets } from "../../src/routing/presets.ts";
import type { Routing, RoutingSettings } from "../../src/routing/route.ts";
import { type Adapter, type GoldenCase, matrixOf, numberOf, type Produced } from "./golden-case.ts";
import { zLoss } from "./megatron-aux-losses.ts";
import {
  ascending,
  balance,
  chosenRows,
  equalParts,
  keptLoad,
  lossOfPart,
  routeBatch,
  rowsAt,
  weightRows,
} from "./routed-batch.ts";

export const tokensChooseFlaxformer: Adapter = (golden) => {
  const { params, input } = golden;
  const { values, sizes } = matrixOf(input, "logits");
  const [groups, tokens, experts] = sizes as [number, number, number];
  const valid = input["padding_mask"]
    ? Array.from(matrixOf(input, "padding_mask").values, Boolean)
    : new Array<boolean>(groups * tokens).fill(true);
  const settings = settingsOf(golden);
  const shape = { experts, topK: numberOf(params, "num_selected_experts"), groups: 1 };
  const parts = equalParts(groups, tokens);
  const padding = valid.map((real) => !real);
  const masked = routeBatch(values, shape, settings, { parts, padding });
  const places = placesOf(masked, parts);
  const { experts: kept, weights, more } = ascending(masked, places);
  const inGroups = <Value>(of: readonly Value[]) => parts.map(({ first, last }) => of.slice(first, last));
  const losses = parts.map((range) => lossOfGroup(values, settings, shape, range, valid));
  return {
    fields: {
      experts_kept: inGroups(kept),
      slots: inGroups(more),
      weights: inGroups(weights),
      tokens_per_expert_kept: parts.map((range) => keptLoad(masked, range)),
      auxiliary_loss: losses.reduce((sum, each) => sum + each / groups, 0),
      router_z_loss: balance(masked, [zLoss(1)]).loss,
      ...scatterFields(scattered(values, shape, settings, parts, padding), parts),
    },
  };
};

/** The published preset with the capacity that a case gives outright. */
function settingsOf({ params }: GoldenCase): RoutingSettings {
  const prioritised = params["batch_prioritized_routing"] === true;
  const { settings } = routingPresets[prioritised ? "flaxformer-batch-prioritised" : "flaxformer-tokens-choose"];
  const factor = numberOf(params, "expert_capacity");
  return { ...settings, capacity: { ...settings.capacity, rule: "fixed", factor, minimum: 0 } };
}

/** Places in the queues, dropped assignments included. [T, slots] */
function placesOf({ shape, settings, chosen, assignment, scores }: Routing, parts: readonly TokenRange[]): number[] {
  const bins = { binOf: Int32Array.from({ length: shape.experts }, (_, expert) => expert), bins: shape.experts };
  const all = { ...assignment, experts: chosen };
  return parts.flatMap((range) => [...queuePlaces(all, bins, { settings: settings.capacity!, scores, ...range })]);
}

/** K times the switch loss; padding is left out of the sums, but not of the number of tokens. */
function lossOfGroup(
  values: Float64Array,
  settings: RoutingSettings,
  shape: Routing["shape"],
  { first, last }: TokenRange,
  valid: readonly boolean[],
): number {
  const places = Array.from({ length: last - first }, (_, i) => first + i).filter((place) => valid[place]);
  const routing = routeBatch(rowsAt(values, shape.experts, places), shape, { ...settings, capacity: undefined });
  const kinds = { scope: "micro-batch", counts: "chosen", probabilities: "normalised" } as const;
  const setting = { rule: "switch-loss", coefficient: shape.topK, ...kinds } as const;
  return lossOfPart(routing, setting, { tokens: last - first }).loss;
}

/** The scatter router sets the scores of padding to 0, and then it may be chosen: the first experts, of equal ones. */
function scattered(
  values: Float64Array,
  shape: Routing["shape"],
  settings: RoutingSettings,
  parts: readonly TokenRange[],
  padding: readonly boolean[],
): Routing {
  const isPadded = (at: number) => padding[Math.floor(at / shape.experts)]!;
  const level = values.map((logit, at) => (isPadded(at) ? 0 : logit));
  const rescore = (scores: { [at: number]: number; readonly length: number }) => {
    for (let at = 0; at < scores.length; at++) if (isPadded(at)) scores[at] = 0;
  };
  return routeBatch(level, shape, settings, { parts, rescore });
}

function scatterFields(routing: Routing, parts: readonly TokenRange[]): Record<string, Produced> {
  const { slots } = routing.assignment;
  const places = placesOf(routing, parts);
  const indices = chosenRows(routing).map((row, t) => row.map((expert, j) => [expert, places[t * slots + j]!]));
  return {
    scatter_dispatch_indices: parts.map(({ first, last }) => indices.slice(first, last)),
    scatter_combine_weights: parts.map(({ first, last }) => weightRows(routing).slice(first, last)),
  };
}
