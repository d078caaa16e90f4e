/** The sections of the schema that say how tokens are routed and how loads are pushed together. */
import * as z from "zod/mini";
import { type BalanceSetting, balancingRules } from "../balance/rules.ts";
import { normalisations } from "../routing/gates.ts";
import { routingPresets } from "../routing/presets.ts";
import { routers } from "../routing/routers.ts";
import { scoreFunctions } from "../routing/scores.ts";
import { choice, described, keys, knobSchema, positive, section } from "./fields.ts";

export const balanceSetting = z.discriminatedUnion(
  "rule",
  keys(balancingRules).map((name) =>
    z.strictObject({
      rule: described(z.literal(name), balancingRules[name].title),
      ...Object.fromEntries(Object.entries(balancingRules[name].knobs).map(([key, knob]) => [key, knobSchema(knob)])),
    }),
  ) as never,
) as unknown as z.ZodMiniType<BalanceSetting>;

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
    bias: described(
      z._default(z.array(z.number()), []),
      "starting selection bias, one number an expert; none: zeros. Balancing rules may move it",
    ),
  },
  "the routing rule",
);
