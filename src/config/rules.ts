/** Rules between knobs: what a config may not say although every value by itself is fine. Numbers are never silently rounded. */
import { topologies, topologyDevices } from "../cluster/topologies.ts";
import { syntheticContradiction } from "../data/synthetic.ts";
import { routers } from "../routing/routers.ts";
import type { RunConfig } from "./schema.ts";

/** A key and what is wrong with it. */
export type Contradiction = readonly [key: string, message: string];

const divides = (key: string, whole: number, what: string, parts: number, of: string): Contradiction[] =>
  whole % parts === 0 ? [] : [[key, `${whole} ${what} do not divide evenly by ${parts} ${of}`]];

/** All contradictions of a resolved config. */
export function contradictions(config: RunConfig): Contradiction[] {
  const { model } = config;
  return [
    ...divides("model.heads", model.hiddenSize, "hidden units", model.heads, "heads"),
    ...(model.feedForward === "moe" ? routingContradictions(config) : []),
    ...dataContradictions(config.data),
  ];
}

function routingContradictions({ model, router, cluster, target }: RunConfig): Contradiction[] {
  const found: Contradiction[] = [];
  const ofRouter = routers[router.selection].contradiction(model);
  if (ofRouter !== undefined) found.push(["model.topK", ofRouter]);
  found.push(...divides("cluster.devices", model.experts, "experts", cluster.devices, "devices"));
  if (router.bias.length > 0 && router.bias.length !== model.experts) {
    found.push(["router.bias", `${router.bias.length} numbers given for ${model.experts} experts`]);
  }
  if (target === undefined) return found;
  for (const key of ["experts", "topK", "groups"] as const) {
    if (target[key] !== model[key]) {
      const message = `${target[key]} differs from model.${key} ${model[key]}; the trained router can only stand for a router of its own sizes`;
      found.push([`target.${key}`, message]);
    }
  }
  found.push(...divides("target.expertParallel", target.experts, "experts", target.expertParallel, "devices"));
  const joined = topologyDevices(topologies[cluster.topology]);
  if (target.expertParallel > joined) {
    const message = `${target.expertParallel} devices are more than the ${joined} that topology ${cluster.topology} joins`;
    found.push(["target.expertParallel", message]);
  }
  return found;
}

function dataContradictions(data: RunConfig["data"]): Contradiction[] {
  if (data.kind === "synthetic") {
    const message = syntheticContradiction(data);
    return message === undefined ? [] : [["data", message]];
  }
  const names = data.domains.map((domain) => (typeof domain === "string" ? domain : domain.name));
  const twice = names.filter((name, i) => names.indexOf(name) !== i);
  return twice.map((name) => ["data.domains", `domain "${name}" is named twice`] as const);
}
