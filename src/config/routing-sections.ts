/** The sections of the schema that say how tokens are routed and how loads are pushed together. */
import * as z from "zod/mini";
import { balancingRules, type GivenBalance } from "../balance/rules.ts";
import type { Knobs } from "../core/knob.ts";
import { type CapacitySettings, capacityKnobs } from "../routing/capacity.ts";
import { DEFAULT_EPSILON, normalisations } from "../routing/gates.ts";
import { routingPresets } from "../routing/presets.ts";
import { type RouterName, routerNamed, routers } from "../routing/routers.ts";
import { scoreFunctions } from "../routing/scores.ts";
import { choice, described, keys, knobSchema, notNegative, positive, section } from "./fields.ts";

const knobShape = (knobs: Knobs) =>
  Object.fromEntries(Object.entries(knobs).map(([name, knob]) => [name, knobSchema(knob)]));

const balanceSetting = z.discriminatedUnion(
  "rule",
  keys(balancingRules).map((name) =>
    z.strictObject({
      rule: described(z.literal(name), balancingRules[name].title),
      ...knobShape(balancingRules[name].knobs),
    }),
  ) as never,
) as unknown as z.ZodMiniType<GivenBalance>;

export const balance = described(
  z.prefault(z.array(balanceSetting), [{ rule: "switch-loss" }] as never),
  "balancing rules, added up",
);

const capacity = described(
  z.optional(z.strictObject(knobShape(capacityKnobs)) as unknown as z.ZodMiniType<CapacitySettings>),
  "how many assignments an expert or device takes of a rank's micro-batch; none: all of them",
);

/** Values of a router's own knobs. */
type RouterOptions = Readonly<Record<string, number | string | boolean>>;

const withKnobs = keys(routers).filter((name) => routerNamed(name).knobs !== undefined);

/** One section for each router that has settings of its own; only that of the selected router has an effect. */
const routerSections = Object.fromEntries(
  withKnobs.map((name) => [name, section(knobShape(routerNamed(name).knobs!), `settings of ${routers[name].title}`)]),
) as unknown as Record<RouterName, z.ZodMiniType<RouterOptions | undefined>>;

export const router = section(
  {
    preset: described(
      z.optional(z.enum(keys(routingPresets))),
      "a published combination; the keys beside it override it",
    ),
    selection: choice(routers, "topk", "which experts a token goes to"),
    scoreFunction: choice(scoreFunctions, "softmax", "logits to scores"),
    normalisation: choice(normalisations, "chosen", "how the scores of the chosen become weights"),
    scale: positive(1, "multiplies the weights"),
    epsilon: notNegative(DEFAULT_EPSILON, "added to a sum of scores before it divides; never to softmax scores"),
    expertScale: choice(
      { none: "no", learned: "a trained number for each expert, 1 at first (Pangu Pro MoE's published code)" },
      "none",
      "whether weights are multiplied by their expert's own scale",
    ),
    bias: described(
      z._default(z.array(z.number()), []),
      "starting selection bias, one number an expert; none: zeros. Balancing rules may move it",
    ),
    capacity,
    ...routerSections,
  },
  "the routing rule",
);
