/** From a cost config to a job that can be priced: presets looked up, own numbers worked in, everything checked. */
import type { Architecture } from "../cluster/architecture.ts";
import { architectures } from "../cluster/architectures.ts";
import { customDevice, type Device } from "../cluster/device.ts";
import { devices } from "../cluster/devices.ts";
import { spanProblems } from "../cluster/group-span.ts";
import type { Job, Routing } from "../cluster/job.ts";
import { type Layout, layoutProblems, layoutSpans, microBatchesOf } from "../cluster/layout.ts";
import {
  profileOfLoads,
  type RoutingProfile,
  type SkewName,
  skewedWeights,
  skewPeriod,
  skews,
} from "../cluster/routing-profile.ts";
import { assumed } from "../cluster/sourced.ts";
import { topologies } from "../cluster/topologies.ts";
import type { Topology } from "../cluster/topology.ts";
import { randomStream } from "../core/random.ts";
import type { Contradiction } from "./contradiction.ts";
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
  refuseContradictions([...problems, ...plainProblems(config)], layer);
  const job = jobOf(config, model!);
  if (!forSearch) refuseContradictions(jobProblems(config, job), layer);
  return { config, job };
}

/** The job of a checked config. @param model as `architectureOf` gave it */
function jobOf(config: CostConfig, model: Architecture): Job {
  const {
    recompute,
    recomputeLayers,
    dispatch,
    deduplicate,
    overlap,
    bytesPerValue,
    bytesPerGradient,
    batch,
    cluster,
  } = config;
  return {
    model,
    device: deviceOf(cluster),
    topology: topologyOf(cluster),
    layout: layoutOf(config),
    batch,
    recompute,
    recomputeLayers: recomputeLayers ?? Number.POSITIVE_INFINITY,
    dispatch,
    deduplicate,
    overlap,
    bytesPerValue,
    bytesPerGradient,
    speeds: new Map(cluster.slow.map(({ device, speed }) => [device, speed])),
  };
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
function plainProblems({ layout, cluster, routing, model, recompute, recomputeLayers }: CostConfig): Contradiction[] {
  const problems: Contradiction[] = [];
  const { tensor, pipeline, context, data, order } = layout;
  const others = tensor * pipeline * context;
  if (data === undefined && cluster.devices % others !== 0) {
    const message = `${cluster.devices} devices do not divide evenly by tensor ${tensor} · pipeline ${pipeline} · context ${context} = ${others}`;
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
  for (const { device } of cluster.slow) {
    if (device < cluster.devices) continue;
    problems.push({ keys: ["cluster.slow"], message: `device ${device} is not among 0 … ${cluster.devices - 1}` });
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

function jobProblems(config: CostConfig, job: Job): Contradiction[] {
  const found = layoutProblems(job.layout, job.batch, job.model, job.topology, config.layout.spreadGroups);
  if (found.length > 0) return found.map(({ key, message }) => ({ keys: [key], message }));
  const spread = spanProblems(() => layoutSpans(job.layout, job.topology));
  return spread === undefined ? [] : [{ keys: ["layout.order", "layout.tensor", "layout.expert"], message: spread }];
}

const neededSizes = ["layers", "hiddenSize", "heads", "vocabulary"] as const;

/** The model of a config; without a preset all that has no natural default must be given. */
function architectureOf(config: CostConfig["model"]): { model?: Architecture; problems: Contradiction[] } {
  const { preset, title, heads, keyValueHeads, headSize, ...sizes } = config;
  if (preset === undefined) {
    const missing = neededSizes.filter((key) => config[key] === undefined);
    if (missing.length > 0) {
      const message = `without a preset it is missing; give a preset, or all of ${neededSizes.join(", ")}`;
      return { problems: missing.map((key) => ({ keys: [`model.${key}`] as const, message })) };
    }
  }
  const base: Architecture = preset === undefined ? blank(config) : architectures[preset];
  const given = Object.fromEntries(Object.entries<unknown>(sizes).filter(([, value]) => value !== undefined));
  const changed: Architecture = { ...base, ...given, title: title ?? base.title };
  if (base.attention.kind === "latent" && (keyValueHeads !== undefined || headSize !== undefined)) {
    const message = `${base.title} has latent attention, of which only the number of heads can be changed; start from another preset`;
    return { problems: [{ keys: ["model.keyValueHeads", "model.headSize"], message }] };
  }
  const attention =
    base.attention.kind === "latent"
      ? { ...base.attention, heads: heads ?? base.attention.heads }
      : {
          ...base.attention,
          heads: heads ?? base.attention.heads,
          keyValueHeads: keyValueHeads ?? Math.min(base.attention.keyValueHeads, heads ?? base.attention.keyValueHeads),
          headSize: headSize ?? base.attention.headSize,
        };
  const isDense = changed.experts === 0;
  const model = {
    ...changed,
    attention,
    denseLayers: isDense ? changed.layers : Math.min(changed.denseLayers, changed.layers),
  };
  return { model, problems: modelProblems(model) };
}

function modelProblems(model: Architecture): Contradiction[] {
  const problems: Contradiction[] = [];
  const { experts, topK, groups, expertHiddenSize, denseLayers, denseHiddenSize } = model;
  if (experts > 0) {
    if (topK < 1 || topK > experts)
      problems.push({ keys: ["model.topK"], message: `topK ${topK} of ${experts} experts` });
    if (expertHiddenSize < 1)
      problems.push({ keys: ["model.expertHiddenSize"], message: "experts need a hidden width" });
    if (groups > 1 && (experts % groups !== 0 || topK % groups !== 0)) {
      const message = `${groups} groups do not divide ${experts} experts and topK ${topK} evenly`;
      problems.push({ keys: ["model.groups", "model.experts", "model.topK"], message });
    }
  }
  if (denseLayers > 0 && denseHiddenSize < 1) {
    const message = `${denseLayers} dense layers need a hidden width; or give them experts with model.denseLayers 0`;
    problems.push({ keys: ["model.denseHiddenSize"], message });
  }
  const { attention } = model;
  if (attention.kind === "grouped-query" && attention.heads % attention.keyValueHeads !== 0) {
    const message = `${attention.heads} heads do not divide evenly by ${attention.keyValueHeads} heads of keys and values`;
    problems.push({ keys: ["model.keyValueHeads"], message });
  }
  return problems;
}

const blank = ({ layers, hiddenSize, heads, vocabulary, experts }: CostConfig["model"]): Architecture => ({
  title: "a model of the config",
  source: "the config",
  layers: layers!,
  denseLayers: experts === undefined || experts === 0 ? layers! : 0,
  hiddenSize: hiddenSize!,
  attention: {
    kind: "grouped-query",
    heads: heads!,
    keyValueHeads: heads!,
    headSize: Math.max(1, Math.floor(hiddenSize! / heads!)),
  },
  denseHiddenSize: 0,
  experts: 0,
  topK: 0,
  groups: 1,
  expertHiddenSize: 0,
  sharedHiddenSize: 0,
  vocabulary: vocabulary!,
  tiedEmbedding: false,
  predictionLayers: 0,
});

/** Routing of a dense model. */
export const noRouting: Routing = {
  title: "no experts",
  blocks: 1,
  microBatches: 1,
  profile() {
    throw new Error("a dense model has no routing");
  },
};

/** One profile for each of some layers, which the model's layers share by depth fraction. */
export function layeredRouting(title: string, profiles: readonly RoutingProfile[], layers: number): Routing {
  return {
    title,
    blocks: 1,
    microBatches: 1,
    profile: (layer) =>
      profiles[Math.min(profiles.length - 1, Math.floor(((2 * layer + 1) * profiles.length) / (2 * layers)))]!,
  };
}

/** Micro-batches of a step that a synthetic routing makes different. */
export const distinctMicroBatches = ({ routing }: CostConfig, { layout, batch }: Job): number =>
  Math.min(skewPeriod({ ...routing, kind: routing.kind as SkewName }, layout.expert), microBatchesOf(batch, layout));

/** Synthetic routing, the same for the same seed. */
export function syntheticRouting(config: CostConfig, job: Job): Routing {
  const { routing, seed } = config;
  const { model, layout } = job;
  const { experts, topK, groups, layers, denseLayers } = model;
  if (experts === 0) return noRouting;
  const skew = { ...routing, kind: routing.kind as SkewName };
  const moeLayers = layers - denseLayers;
  const microBatches = distinctMicroBatches(config, job);
  const title = `${skew.kind} routing, SYNTHETIC`;
  const uniform =
    skew.kind === "uniform" ? profileOfLoads(title, new Float64Array(experts).fill(1), topK, groups) : undefined;
  const profiles = Array.from({ length: microBatches * moeLayers }, (_, i) => {
    if (uniform !== undefined) return uniform;
    const [layer, microBatch] = [i % moeLayers, Math.floor(i / moeLayers)];
    const weights = skewedWeights(skew, randomStream(seed, "skew", layer), experts, layout.expert, layer, microBatch);
    return profileOfLoads(title, weights, topK, groups);
  });
  return {
    title,
    blocks: 1,
    microBatches,
    profile: (layer, _, microBatch) => profiles[microBatch * moeLayers + layer]!,
  };
}

export const isSynthetic = (kind: string | undefined): kind is SkewName | undefined =>
  kind === undefined || Object.hasOwn(skews, kind);
