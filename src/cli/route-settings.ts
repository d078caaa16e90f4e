/** The settings of `moge route`: from its arguments to what the routing room takes, checked. */
import { defaultsOf, type Knobs, titlesOf } from "../core/knob.ts";
import { placements } from "../placement/placements.ts";
import { type CapacitySettings, capacityContradiction, capacityKnobs } from "../routing/capacity.ts";
import { DEFAULT_EPSILON, type Normalisation, normalisations } from "../routing/gates.ts";
import { type RoutingPreset, routingPresets } from "../routing/presets.ts";
import { optionsOf, type RoutingCapacity, type RoutingSettings } from "../routing/route.ts";
import type { Router, RouterShape } from "../routing/router.ts";
import { type RouterName, routerNamed, routers } from "../routing/routers.ts";
import { type ScoreFunctionName, scoreFunctions } from "../routing/scores.ts";
import { UsageError } from "./failure.ts";
import { nameIn, parseSettings } from "./knob-values.ts";

export interface RouteArguments {
  readonly router?: string | undefined;
  readonly preset?: string | undefined;
  readonly set: readonly string[];
  readonly topk?: number | undefined;
  readonly groups?: number | undefined;
  readonly devices?: number | undefined;
  readonly experts?: number | undefined;
}

export interface RoutePlan {
  readonly settings: RoutingSettings;
  readonly shape: RouterShape;
  /** D; absent: not said */
  readonly devices: number | undefined;
  /** [N] */
  readonly deviceOf: Int32Array | undefined;
}

/** What `--set` can change beside the router's own knobs. */
export const routeKnobs = {
  "": {
    scoreFunction: { kind: "choice", default: "softmax", options: titlesOf(scoreFunctions), help: "logits to scores" },
    normalisation: {
      kind: "choice",
      default: "chosen",
      options: normalisations,
      help: "how the scores of the chosen become weights",
    },
    scale: { kind: "number", default: 1, minimum: 0, help: "multiplies the weights" },
    epsilon: {
      kind: "number",
      default: DEFAULT_EPSILON,
      minimum: 0,
      help: "added to a sum of scores before it divides; never to softmax scores",
    },
  },
  capacity: capacityKnobs,
} as const satisfies Readonly<Record<string, Knobs>>;

/** @param tokens,experts T and N of the file @throws UsageError where arguments contradict each other or the file */
export function planRoute(args: RouteArguments, tokens: number, experts: number): RoutePlan {
  const preset: RoutingPreset | undefined =
    args.preset === undefined ? undefined : routingPresets[nameIn("preset", args.preset, routingPresets)];
  const selection = selectionOf(args, preset);
  const router = routerNamed(selection);
  const given = parseSettings(args.set, { ...routeKnobs, [selection]: router.knobs ?? {} });
  const shape = shapeOf(args, router, { ...preset?.settings.options, ...given[selection] }, experts);
  const base = preset?.settings ?? {
    scoreFunction: router.scoreFunctions?.[0] ?? "softmax",
    normalisation: "chosen",
    scale: 1,
    epsilon: DEFAULT_EPSILON,
  };
  const { devices, deviceOf } = devicesOf(args, shape);
  const shared = { ...base, ...given[""] };
  const capacity = capacityOf(preset?.settings.capacity, given["capacity"]!, tokens, shape, shared.normalisation);
  if (capacity?.level === "device" && deviceOf === undefined) {
    throw new UsageError("capacity.level is device; say how many devices there are with --devices");
  }
  const settings = {
    ...shared,
    selection,
    options: { ...preset?.settings.options, ...given[selection] },
    capacity: capacity && (deviceOf === undefined ? capacity : { ...capacity, deviceOf, devices }),
  } as RoutingSettings;
  const allowed: readonly ScoreFunctionName[] | undefined = router.scoreFunctions;
  if (allowed !== undefined && !allowed.includes(settings.scoreFunction)) {
    throw new UsageError(
      `router ${selection} is defined for ${allowed.join(", ")} scores, not ${settings.scoreFunction}`,
    );
  }
  const problem = router.contradiction(shape, optionsOf(settings) as never);
  if (problem !== undefined) {
    const hint =
      args.groups === undefined && problem.includes("groups") ? "; say how many there are with --groups" : "";
    throw new UsageError(`router ${selection}: ${problem}${hint}`);
  }
  return { settings, shape, devices, deviceOf };
}

function selectionOf({ router, preset: presetName }: RouteArguments, preset: RoutingPreset | undefined): RouterName {
  const ofPreset = preset?.settings.selection;
  const named = router === undefined ? undefined : nameIn("router", router, routers);
  if (named !== undefined && ofPreset !== undefined && named !== ofPreset) {
    throw new UsageError(`preset ${presetName} routes by ${ofPreset}, not ${named}; leave one of them out`);
  }
  return named ?? ofPreset ?? "topk";
}

function shapeOf(args: RouteArguments, router: Router, options: object, experts: number): RouterShape {
  if (args.experts !== undefined && args.experts !== experts) {
    throw new UsageError(`the file has ${experts} experts, but --experts says ${args.experts}`);
  }
  const groupsOf = (topK: number) => args.groups ?? (router.promises.perGroup ? topK : (args.devices ?? 1));
  const shapeWith = (topK: number): RouterShape => ({ experts, topK, groups: groupsOf(topK) });
  if (args.topk !== undefined) return shapeWith(args.topk);
  const defaults = Object.fromEntries(Object.entries(router.knobs ?? {}).map(([name, knob]) => [name, knob.default]));
  const fits = (topK: number) => router.contradiction(shapeWith(topK), { ...defaults, ...options }) === undefined;
  return shapeWith([...(args.groups === undefined ? [] : [args.groups]), 2, 1].find(fits) ?? 2);
}

export function devicesOf({ devices }: Pick<RouteArguments, "devices">, { experts }: Pick<RouterShape, "experts">) {
  if (devices === undefined) return { devices, deviceOf: undefined };
  if (experts % devices !== 0) {
    throw new UsageError(
      `${experts} experts do not divide among ${devices} devices; choose a divisor of ${experts} for --devices`,
    );
  }
  return { devices, deviceOf: placements.contiguous.place(experts, devices) };
}

function capacityOf(
  ofPreset: RoutingCapacity | undefined,
  given: Readonly<Record<string, unknown>>,
  tokens: number,
  shape: RouterShape,
  normalisation: Normalisation,
): RoutingCapacity | undefined {
  if (ofPreset === undefined && Object.keys(given).length === 0) return undefined;
  const capacity: CapacitySettings = { ...defaultsOf(capacityKnobs), ...ofPreset, ...given };
  const problem = capacityContradiction(capacity, tokens, shape, normalisation);
  if (problem !== undefined) throw new UsageError(`capacity.${problem.knob}: ${problem.message}`);
  return capacity;
}
