/** From a cost config to a job that can be priced: presets looked up, own numbers worked in, everything checked. */
import type { Architecture } from "../cluster/architecture.ts";
import { architectures } from "../cluster/architectures.ts";
import { customDevice, type Device } from "../cluster/device.ts";
import { devices } from "../cluster/devices.ts";
import { spanProblems } from "../cluster/group-span.ts";
import type { Job } from "../cluster/job.ts";
import { type Batch, type Layout, layoutProblems, layoutSpans } from "../cluster/layout.ts";
import { assumed } from "../cluster/sourced.ts";
import { topologies } from "../cluster/topologies.ts";
import type { Topology } from "../cluster/topology.ts";
import type { Contradiction } from "./contradiction.ts";
import { architectureOf } from "./cost-model.ts";
import { type CostConfig, costSchema } from "./cost-schema.ts";
import { type ConfigSource, check, readLayers, refuseContradictions } from "./resolve.ts";

export interface CostJob {
  readonly config: CostConfig;
  readonly job: Job;
}

/** Where a search starts. */
const noDegrees = {
  tensor: 1,
  pipeline: 1,
  virtual: 1,
  data: undefined,
  context: 1,
  expert: 1,
  expertTensor: 1,
  schedule: "1f1b",
  paddingLayers: 0,
} as const;

/**
 * @param forSearch the degrees of the layout are going to be searched: those of the config do not count
 * @throws ConfigError with every problem found
 */
export function resolveCost(source: ConfigSource, { forSearch = false } = {}): CostJob {
  const layer = readLayers(source);
  const checked = check(costSchema, layer);
  const config = forSearch ? { ...checked, layout: { ...checked.layout, ...noDegrees } } : checked;
  const { model, problems } = architectureOf(config.model);
  const ofBatch = batchProblems(config.batch, forSearch);
  refuseContradictions([...problems, ...plainProblems(config), ...ofBatch], layer);
  const job = jobOf(config, model!);
  if (!forSearch) refuseContradictions(jobProblems(config, job), layer);
  return { config, job };
}

/** The job of a checked config. @param model as `architectureOf` gave it */
function jobOf(config: CostConfig, model: Architecture): Job {
  const { recompute, dispatch, deduplicate, overlap, products, cluster } = config;
  const { recomputeLayers, bytesPerValue, bytesPerDispatched, bytesPerKept, bytesPerGradient, bytesPerState } = config;
  const layout = layoutOf(config);
  return {
    model,
    device: deviceOf(cluster),
    topology: topologyOf(cluster),
    layout,
    batch: batchOf(config.batch, layout),
    recompute,
    recomputeLayers: recomputeLayers ?? Number.POSITIVE_INFINITY,
    dispatch,
    deduplicate,
    overlap,
    products,
    bytesPerValue,
    bytesPerDispatched: bytesPerDispatched ?? bytesPerValue,
    bytesPerKept: bytesPerKept ?? bytesPerValue,
    bytesPerGradient,
    bytesPerState,
    ...(config.offload && { offloadBytesPerSecond: config.offload.bytesPerSecond }),
    speeds: new Map(cluster.slow.map(({ device, speed }) => [device, speed])),
  };
}

function batchOf(
  { sequence, microBatch, globalBatch, globalTokens, accumulation }: CostConfig["batch"],
  { data }: Layout,
): Batch {
  if (globalTokens !== undefined) return { sequence, microBatch, globalBatch: globalTokens / sequence };
  if (accumulation !== undefined) return { sequence, microBatch, globalBatch: accumulation * microBatch * data };
  return { sequence, microBatch, globalBatch: globalBatch ?? 256 };
}

const deviceOf = ({ device, customDevice: changes }: CostConfig["cluster"]): Device =>
  changes === undefined ? devices[device] : customDevice(devices[device], changes);

function topologyOf({ topology, customTopology: own }: CostConfig["cluster"]): Topology {
  if (own === undefined) return topologies[topology];
  const given = <T>(value: T) => assumed(value, `given in the config: ${own.source}`);
  return {
    title: own.title ?? "links of the config",
    levels: own.levels.map(({ title, size, wiring, port, bytesPerSecond, efficiency, latencySeconds }) => ({
      title,
      size: given(size),
      wiring: given(wiring),
      port: port ?? title,
      bytesPerSecond: given(bytesPerSecond),
      efficiency: given(efficiency),
      latencySeconds: given(latencySeconds),
    })),
    collectiveSeconds: given(own.collectiveSeconds),
    bulk: { fromBytes: given(512 * 1024), startSeconds: given(own.bulkStartSeconds) },
    allToAllShare: given([1]),
    gatherShare: given(1),
  };
}

function layoutOf({ layout, cluster }: CostConfig): Layout {
  const { data, spreadGroups: _, ...rest } = layout;
  return { ...rest, data: data ?? cluster.devices / (rest.tensor * rest.pipeline * rest.context) };
}

/** What must hold before a job can be made at all. */
function plainProblems(config: CostConfig): Contradiction[] {
  const { layout, cluster, routing, model, recompute, recomputeLayers, products } = config;
  const problems: Contradiction[] = [];
  const { tensor, pipeline, context, data, order } = layout;
  const others = tensor * pipeline * context;
  if (data === undefined && cluster.devices % others !== 0) {
    const message = `${cluster.devices} devices do not divide evenly by tensor ${tensor} · pipeline ${pipeline} · context ${context} = ${others}; take a multiple of ${others}`;
    problems.push({ keys: ["cluster.devices", "layout.tensor", "layout.pipeline", "layout.context"], message });
  }
  if (data !== undefined && data * others !== cluster.devices) {
    const message = `tensor ${tensor} · pipeline ${pipeline} · context ${context} · data ${data} = ${data * others} devices, but cluster.devices is ${cluster.devices}`;
    problems.push({ keys: ["layout.data", "cluster.devices"], message });
  }
  if (order.length !== 4 || new Set(order).size !== 4) {
    problems.push({
      keys: ["layout.order"],
      message: `needs tensor, context, data and pipeline once each, got ${order.join(", ")}`,
    });
  }
  for (const [i, { device }] of cluster.slow.entries()) {
    const isTwice = cluster.slow.findIndex((each) => each.device === device) < i;
    if (isTwice) problems.push({ keys: ["cluster.slow"], message: `device ${device} has two speeds; give it one` });
    if (device < cluster.devices) continue;
    problems.push({ keys: ["cluster.slow"], message: `device ${device} is not among 0 … ${cluster.devices - 1}` });
  }
  const { title, eightBit } = deviceOf(cluster);
  if (products === "fp8" && eightBit?.format.value !== "fp8") {
    const found = eightBit === undefined ? "no 8-bit products are known of it" : "its 8-bit products are of integers";
    const message = `${title} cannot: ${found}; say bf16, or give cluster.customDevice an eightBitFlopsPerSecond`;
    problems.push({ keys: ["products", "cluster.device"], message });
  }
  if (recompute === "none" && recomputeLayers !== undefined) {
    const message = `recomputeLayers ${recomputeLayers} has no effect while nothing is recomputed; set recompute, or leave it out`;
    problems.push({ keys: ["recomputeLayers", "recompute"], message });
  }
  const preset = model.preset === undefined ? undefined : architectures[model.preset];
  const experts = model.experts ?? preset?.experts ?? 0;
  if (experts > 0 && routing.kind === undefined) {
    const message = "say how tokens are spread over experts; uniform, if that is meant, or for example log-normal";
    problems.push({ keys: ["routing.kind"], message });
  }
  if (routing.kind === "table" && routing.file === undefined) {
    problems.push({ keys: ["routing.file"], message: "a table needs the path of its CSV file" });
  }
  if (routing.kind === "trained" && routing.run === undefined) {
    problems.push({
      keys: ["routing.run"],
      message: "a trained routing needs the config of a run, such as quickstart",
    });
  }
  return problems;
}

function batchProblems({ sequence, globalBatch, globalTokens, accumulation }: CostConfig["batch"], forSearch: boolean) {
  const problems: Contradiction[] = [];
  const given = Object.entries({ globalBatch, globalTokens, accumulation }).filter(([, value]) => value !== undefined);
  const [first, second] = given.map(([key]) => `batch.${key}`);
  if (first !== undefined && second !== undefined) {
    const message = `${given.map(([key, value]) => `${key} ${value}`).join(" and ")} say the same thing; give one of them`;
    problems.push({ keys: [first, second], message });
  }
  if (globalTokens !== undefined && globalTokens % sequence !== 0) {
    const message = `${globalTokens} tokens do not divide evenly by sequences of ${sequence}`;
    problems.push({ keys: ["batch.globalTokens", "batch.sequence"], message });
  }
  if (forSearch && accumulation !== undefined) {
    const message = "a search varies the number of replicas, and with it the batch; give globalBatch instead";
    problems.push({ keys: ["batch.accumulation"], message });
  }
  return problems;
}

function jobProblems(config: CostConfig, job: Job): Contradiction[] {
  const found = layoutProblems(job.layout, job.batch, job.model, job.topology, config.layout.spreadGroups);
  if (found.length > 0) return found.map(({ key, message }) => ({ keys: [key], message }));
  const spread = spanProblems(() => layoutSpans(job.layout, job.topology));
  return spread === undefined ? [] : [{ keys: ["layout.order", "layout.tensor", "layout.expert"], message: spread }];
}
