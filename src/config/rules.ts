/** Rules between knobs: what a config may not say although every value by itself is fine. Numbers are never silently rounded. */
import { syntheticContradiction } from "../data/synthetic.ts";
import { targetContradictions } from "./cluster-rules.ts";
import { type Contradiction, divides } from "./contradiction.ts";
import { routingContradictions } from "./routing-rules.ts";
import type { RunConfig } from "./schema.ts";

/** All contradictions of a resolved config. */
export function contradictions(config: RunConfig): Contradiction[] {
  const { model } = config;
  return [
    ...divides(["model.heads", "model.hiddenSize"], model.hiddenSize, "hidden units", model.heads, "heads"),
    ...(model.feedForward === "moe" ? [...routingContradictions(config), ...targetContradictions(config)] : []),
    ...dataContradictions(config.data),
  ];
}

function dataContradictions(data: RunConfig["data"]): Contradiction[] {
  if (data.kind === "synthetic") {
    const message = syntheticContradiction(data);
    return message === undefined ? [] : [{ keys: ["data.topics"], message }];
  }
  const names = data.domains.map((domain) => (typeof domain === "string" ? domain : domain.name));
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  return twice.map((name) => ({ keys: ["data.domains"], message: `domain "${name}" is named twice` }));
}
