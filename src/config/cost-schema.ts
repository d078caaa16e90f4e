/**
 * The schema of what `moge cost` and `moge plan` price: a model, a machine, a layout, a batch and a routing.
 * Rules between its knobs are in cost-job.ts, because most of them belong to the cost model.
 */
import * as z from "zod/mini";
import { architectures } from "../cluster/architectures.ts";
import { devices } from "../cluster/devices.ts";
import { dispatches, recomputations } from "../cluster/job.ts";
import { formats } from "../cluster/kernels.ts";
import { dimensions } from "../cluster/layout.ts";
import { skews } from "../cluster/routing-profile.ts";
import { schedules } from "../cluster/schedules.ts";
import { topologies } from "../cluster/topologies.ts";
import {
  choice,
  count,
  countOrZero,
  described,
  fileName,
  flag,
  keys,
  notNegative,
  positive,
  section,
} from "./fields.ts";

const own = <S extends z.core.$ZodType>(schema: S, help: string) => described(z.optional(schema), help);
const ownCount = (help: string, most = 1e9) => own(z.int().check(z.minimum(1), z.maximum(most)), help);
const ownCountOrZero = (help: string, most = 1e9) => own(z.int().check(z.minimum(0), z.maximum(most)), help);
/** Of a second; from one on, so that no time is beyond all numbers. */
const rate = (help: string) => described(z.number().check(z.minimum(1)), help);
const ownRate = (help: string) => own(rate(help), help);
const share = (fallback: number, help: string) =>
  described(z._default(z.number().check(z.minimum(0), z.maximum(1)), fallback), help);
const ownShare = (help: string) => own(z.number().check(z.gt(0), z.maximum(1)), help);
const ownBytes = (help: string) => own(z.number().check(z.gt(0), z.maximum(8)), help);
const source = described(z.string().check(z.minLength(1)), "where the numbers come from; shown with every result");

const model = section(
  {
    preset: own(z.enum(keys(architectures)), "a published model; the keys beside it change it"),
    title: own(z.string(), "how reports call it"),
    layers: ownCount("transformer layers, L", 10_000),
    denseLayers: ownCountOrZero("first layers without experts; all of them in a dense model"),
    hiddenSize: ownCount("width of the residual stream, H"),
    heads: ownCount("attention heads"),
    keyValueHeads: ownCount("heads of keys and values"),
    headSize: ownCount("width of a head"),
    latent: own(
      z.strictObject({
        queryRank: countOrZero(0, "width that queries are compressed to; 0: they are not"),
        keyValueRank: count(512, "width that keys and values are compressed to"),
        plainSize: count(128, "part of a head without positions"),
        rotarySize: count(64, "rotary part of a head"),
        valueSize: count(128, "width of a head's value"),
      }),
      "multi-head latent attention, as DeepSeek-V2 introduced it; absent: that of the preset, else grouped queries",
    ),
    gated: own(z.boolean(), "feed-forward networks have a gate, as SwiGLU has; default: they do"),
    denseHiddenSize: ownCountOrZero("hidden width of the feed-forward network of dense layers"),
    experts: ownCountOrZero("routed experts a layer, N; 0: a dense model", 65_536),
    topK: ownCountOrZero("experts chosen for a token, K"),
    groups: ownCount("expert groups, M; 1: ordinary top-k"),
    limit: ownCountOrZero(
      "group-limited routing: groups that a token may use, so that it travels to few nodes; 0: K/M experts of every group, as MoGE; default: that of the preset, else 0",
    ),
    expertHiddenSize: ownCountOrZero("hidden width of one expert, F"),
    sharedHiddenSize: ownCountOrZero("hidden width of all shared experts together"),
    vocabulary: ownCount("tokens of the vocabulary"),
    tiedEmbedding: own(z.boolean(), "the embedding is the output head, too"),
    predictionLayers: ownCountOrZero("modules for multi-token prediction", 100),
  },
  "the model that is trained",
);

const customDevice = own(
  z.strictObject({
    title: own(z.string(), "how reports call it"),
    peakFlopsPerSecond: ownRate("bf16 peak of the matrix units"),
    eightBitFlopsPerSecond: ownRate("their fp8 peak"),
    cores: ownCount("cores with a matrix unit each"),
    memoryBytes: ownRate("bytes of memory"),
    memoryBytesPerSecond: ownRate("bandwidth of the memory"),
    gemmEfficiency: ownShare("achieved share of the peak in products, on whole tiles"),
    groupedGemmEfficiency: ownShare("the same in grouped products"),
    eightBitGemmEfficiency: ownShare("achieved share of the fp8 peak in products"),
    memoryEfficiency: ownShare("achieved share of the memory bandwidth"),
    attentionEfficiency: ownShare("achieved share of the peak in attention, forward"),
    matrixKernelSeconds: own(z.number().check(z.minimum(0)), "what every product costs besides its work"),
    vectorKernelSeconds: own(z.number().check(z.minimum(0)), "what every elementwise kernel costs besides"),
    source,
  }),
  "numbers that replace those of the device",
);

const customTopology = own(
  z.strictObject({
    title: own(z.string(), "how reports call it"),
    levels: described(
      z
        .array(
          z.strictObject({
            title: described(z.string().check(z.minLength(1)), "name of the links"),
            size: described(z.int().check(z.minimum(2), z.maximum(1e9)), "units of the level below that it joins"),
            wiring: choice(
              { mesh: "a link between every two", switch: "all bandwidth to any peer" },
              "switch",
              "how units are joined",
            ),
            port: own(z.string(), "levels with the same port share its lanes; default: a port of its own"),
            bytesPerSecond: rate("line rate out of one device, in one direction"),
            efficiency: described(z._default(z.number().check(z.gt(0), z.maximum(1)), 0.7), "achieved share of it"),
            latencySeconds: notNegative(2e-6, "latency of a message"),
          }),
        )
        .check(z.minLength(1)),
      "links from the innermost outwards",
    ),
    collectiveSeconds: notNegative(10e-6, "what every collective costs before the first byte moves"),
    bulkStartSeconds: notNegative(0, "what those with messages of at least 512 KiB cost besides"),
    source,
  }),
  "links of your own, instead of a preset's",
);

const cluster = section(
  {
    devices: count(8, "devices of the job", 1e7),
    device: choice(devices, "ascend-910b2", "device preset"),
    customDevice,
    topology: choice(topologies, "a2-8xhccs-roce", "link preset"),
    customTopology,
    slow: described(
      z._default(
        z.array(
          z.strictObject({
            device: described(z.int().check(z.minimum(0)), "number of the device"),
            speed: described(z.number().check(z.gt(0), z.maximum(10)), "1 is nominal, 0.8 a fifth slower"),
          }),
        ),
        [],
      ),
      "devices that do not run at nominal speed",
    ),
    failures: own(
      z.strictObject({
        hoursBetween: described(z.number().check(z.gt(0)), "mean hours between failures of one device"),
        checkpointSeconds: described(z.number().check(z.gt(0)), "to write a checkpoint"),
        restartSeconds: notNegative(600, "from a failure until training goes on"),
      }),
      "what failing devices cost, by Young's formula; none: not counted",
    ),
  },
  "the simulated machine",
);

const layout = section(
  {
    tensor: count(1, "tensor-parallel devices"),
    pipeline: count(1, "pipeline stages"),
    virtual: count(1, "chunks of layers a stage"),
    data: ownCount("data-parallel replicas; default: what the number of devices leaves"),
    context: count(1, "devices that share a sequence"),
    expert: count(1, "devices that share the experts of a layer"),
    expertTensor: count(1, "devices that share the matrices of an expert"),
    sequenceParallel: flag(true, "norms and residuals split over the tensor-parallel devices"),
    schedule: choice(schedules, "1f1b", "order of work in the pipeline"),
    paddingLayers: countOrZero(0, "layers that do nothing, appended so that stages are of one size", 10_000),
    order: described(
      z._default(z.array(z.enum(keys(dimensions))), ["tensor", "context", "data", "pipeline"]),
      "dimensions from the innermost outwards: how ranks are laid on the topology",
    ),
    distributedOptimizer: flag(true, "optimizer states split over the data-parallel replicas"),
    spreadGroups: flag(
      false,
      "allow a device to hold a fraction of an expert group; loads are then not equal by construction",
    ),
  },
  "how the model is cut over the devices",
);

const batch = section(
  {
    sequence: count(4096, "tokens a sequence"),
    microBatch: count(1, "sequences of a micro-batch"),
    globalBatch: ownCount("sequences of a step; default: 256"),
    globalTokens: ownCount("instead of globalBatch: tokens of a step"),
    accumulation: ownCount(
      "instead of globalBatch: micro-batches of a replica in a step, over which gradients accumulate",
    ),
  },
  "what a step trains on",
);

export const routingSources = {
  ...skews,
  table: "the loads of a table: expert-load.csv of a run, or any CSV with layer, expert and assignments or share",
  trained: "a training run of the small model, done now",
} as const;

const routing = section(
  {
    kind: own(
      z.enum(keys(routingSources)),
      `where loads come from. ${Object.entries(routingSources)
        .map(([name, help]) => `${name}: ${help}`)
        .join("; ")}`,
    ),
    exponent: notNegative(0.5, "zipf: exponent"),
    // e^(100 · normal) is a double still; from 5 on nearly all tokens go to one expert
    sigma: described(
      z._default(z.number().check(z.minimum(0), z.maximum(100)), 0.5),
      "log-normal: standard deviation of the logarithm",
    ),
    factor: positive(2, "hot-rank, hot-experts, rotating-hotspot, burst: how much hotter"),
    count: count(1, "hot-experts: how many"),
    every: count(4, "burst: micro-batches from one to the next"),
    file: own(z.string().check(z.minLength(1)), "table: path of the CSV file"),
    run: own(z.string().check(z.minLength(1)), "trained: config of the run, by path or packaged name"),
    variant: own(z.string().check(z.minLength(1)), "table, trained: which variant"),
  },
  "how tokens are spread over experts; must be said for a model that has some",
);

const overlap = section(
  {
    tensor: share(0, "share of tensor-parallel communication that runs beside compute"),
    expert: share(0, "share of dispatch and combine"),
    data: share(0, "share of gradient reduction and parameter gathering"),
    slowdown: share(0.25, "how much slower compute gets beside communication; 0.25 was measured with HCCL on A3"),
  },
  "communication beside compute",
);

export const costSchema = z.strictObject({
  $schema: own(z.string(), "for editors"),
  extends: own(z.string(), "another config, by path from this file's folder; this file overrides it"),
  name: fileName("name of the job"),
  description: own(z.string(), "one line for reports"),
  seed: described(z._default(z.int().check(z.minimum(0)), 1), "synthetic routing comes from it"),
  model,
  cluster,
  layout,
  batch,
  routing,
  recompute: choice(recomputations, "none", "what is computed again in the backward pass"),
  recomputeLayers: ownCount("layers of each chunk, from its first, that are recomputed; default: all"),
  dispatch: choice(dispatches, "all-to-all", "how tokens reach their experts"),
  deduplicate: flag(false, "a token travels once to each device, not once for each expert"),
  overlap,
  products: choice(formats, "bf16", "number format of products with weights, router and output head excepted"),
  bytesPerValue: count(2, "of weights and activations; 2 is bf16", 8),
  bytesPerDispatched: ownBytes("of a value on its way to the experts; default: bytesPerValue; 1 with DeepSeek-V3"),
  bytesPerKept: ownBytes("of what products keep of their inputs for the backward pass; default: bytesPerValue"),
  bytesPerGradient: count(4, "of gradients as they are accumulated and reduced", 8),
  bytesPerState: described(
    z._default(z.number().check(z.minimum(0), z.maximum(64)), 12),
    "that the optimizer keeps for a parameter; 12: AdamW with a weight and two moments in single precision",
  ),
  offload: own(
    z.strictObject({
      bytesPerSecond: rate("of the link to the host's memory, in one direction"),
      source,
    }),
    "optimizer states live in the host's memory and pass through the device when it steps",
  ),
});

export type CostConfig = z.infer<typeof costSchema>;
