/** What rebalancing gives and what it costs, for a terminal and for files. */
import type { MeasuredDeployment } from "../metrics/measure-deployment.ts";
import { type Deployment, slotCount } from "../placement/deployment.ts";
import { type Cell, csvText } from "./csv-text.ts";
import { aligned, figure, wrapped } from "./plain-text.ts";

export interface RebalancerOutcome {
  readonly name: string;
  readonly title: string;
  /** One a load, or why there are none. */
  readonly outcome: readonly MeasuredDeployment[] | string;
}

export interface DeploymentReport {
  /** What the deployments are made of, and what they are measured on. */
  readonly title: string;
  /** What each load is of. */
  readonly names: readonly string[];
  readonly experts: number;
  readonly devices: number;
  readonly slots: number;
  readonly outcomes: readonly RebalancerOutcome[];
}

interface Means {
  readonly maxOverMean: number;
  readonly worst: number;
  readonly fanOut: number | undefined;
  /** Slots over experts. */
  readonly memory: number;
  readonly arrivals: number | undefined;
}

function meansOf(layers: readonly MeasuredDeployment[]): Means {
  const mean = (of: (layer: MeasuredDeployment) => number) =>
    layers.reduce((sum, each) => sum + of(each), 0) / layers.length;
  const known = (key: "fanOut" | "arrivals") =>
    layers.some((layer) => layer[key] === undefined) ? undefined : mean((layer) => layer[key]!);
  return {
    maxOverMean: mean(({ maxOverMean }) => maxOverMean),
    worst: Math.max(...layers.map(({ maxOverMean }) => maxOverMean)),
    fanOut: known("fanOut"),
    memory: mean(({ deployment }) => slotCount(deployment) / deployment.experts),
    arrivals: known("arrivals"),
  };
}

const shown = (value: number | undefined): string => (value === undefined ? "-" : figure(value));

export function deploymentText({ title, experts, devices, slots, names, outcomes }: DeploymentReport): string {
  const heads = [
    ["", "max/mean", "worst", "fan-out", "expert", "experts"],
    ["rebalancer", "of devices", "load", "devices", "memory", "to move"],
  ];
  const rows = outcomes.flatMap(({ name, outcome }) => {
    if (typeof outcome === "string") return [];
    const { maxOverMean, worst, fanOut, memory, arrivals } = meansOf(outcome);
    return [[name, figure(maxOverMean), figure(worst), shown(fanOut), `×${figure(memory)}`, shown(arrivals)]];
  });
  const loads = names.length === 1 ? "one load" : `means over ${names.length} loads, ${names[0]} … ${names.at(-1)}`;
  return [
    ...wrapped(title),
    ...wrapped(`${loads}; experts ${experts}, devices ${devices}, slots ${slots} a device`),
    "",
    ...aligned([...heads, ...rows], (column) => column === 0, "   "),
    "",
    ...outcomes.flatMap(({ name, title: what, outcome }) => [
      ...wrapped(what, `${name}: `, "  "),
      ...(typeof outcome === "string" ? wrapped(outcome, "  not possible here: ", "  ") : []),
    ]),
    "",
    ...wrapped(
      "Replicas share their expert's tokens equally; 1 is even. A deployment is made after the fact: --on FILE measures it on loads that it was not made of.",
    ),
  ].join("\n");
}

export function deploymentJson({ names, experts, devices, slots, outcomes }: DeploymentReport): object {
  return {
    shape: { experts, devices, slots },
    rebalancers: outcomes.map(({ name, outcome }) => {
      if (typeof outcome === "string") return { name, impossible: outcome };
      const { fanOut, memory, arrivals, ...means } = meansOf(outcome);
      return {
        name,
        ...means,
        fanOut: fanOut ?? null,
        expertMemory: memory,
        arrivals: arrivals ?? null,
        layers: outcome.map(({ deployment, load, maxOverMean }, i) => ({
          name: names[i],
          maxOverMean,
          deviceLoad: Array.from(load),
          held: deployment.held.map((own) => Array.from(own)),
        })),
      };
    }),
  };
}

/** `rebalancing.csv`, and for each rebalancer its expert_map.json, the interchange format of Ascend's tools. */
export function deploymentFiles({ names, outcomes }: DeploymentReport): Readonly<Record<string, string>> {
  const rows: Cell[][] = [["rebalancer", "load", "max_over_mean", "fan_out_devices_per_token", "slots", "arrivals"]];
  const files: Record<string, string> = {};
  for (const { name, outcome } of outcomes) {
    if (typeof outcome === "string") continue;
    outcome.forEach(({ maxOverMean, fanOut, deployment, arrivals }, i) => {
      rows.push([name, names[i]!, maxOverMean, fanOut, slotCount(deployment), arrivals]);
    });
    files[`${name}.expert_map.json`] = expertMapText(outcome.map(({ deployment }) => deployment));
  }
  return { "rebalancing.csv": csvText(rows), ...files };
}

/** vllm-ascend's expert_map.json; layers are numbered as the loads are, from 0. */
function expertMapText(layers: readonly Deployment[]): string {
  const map = {
    moe_layer_count: layers.length,
    layer_list: layers.map(({ held }, layer) => ({
      layer_id: layer,
      device_count: held.length,
      device_list: held.map((own, device) => ({ device_id: device, device_expert: Array.from(own) })),
    })),
  };
  return `${JSON.stringify(map, undefined, 1)}\n`;
}
