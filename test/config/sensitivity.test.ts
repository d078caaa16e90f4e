/** Every input of a cost config has a direction here: a new one without fails the first test. */
import { readFileSync } from "node:fs";
import { expect } from "chai";
import { priceStep } from "../../src/cluster/step.ts";
import { resolveCost } from "../../src/config/cost-job.ts";
import { isSynthetic, syntheticRouting } from "../../src/config/synthetic-routing.ts";
import { goodput } from "../../src/output/cost-report.ts";

const base = `
name: base
model: { preset: qwen3-30b-a3b, layers: 8, denseLayers: 2, denseHiddenSize: 6144, sharedHiddenSize: 768, predictionLayers: 1 }
cluster: { devices: 32, device: ascend-910b3 }
layout: { pipeline: 2, expert: 16 }
routing: { kind: hot-rank, factor: 1.5 }
`;

/** Seconds of a step, over the share of the time that failures leave. */
function seconds(sets: readonly string[]): number {
  const source = { path: "job.yaml", sets: [...sets], read: () => base, besides: (_: string, path: string) => path };
  const { config, job } = resolveCost(source);
  expect(isSynthetic(config.routing.kind)).to.equal(true);
  return priceStep(job, syntheticRouting(config, job), { events: true }).seconds / (goodput(config)?.share ?? 1);
}

type Case = readonly [
  key: string,
  direction: "faster" | "slower" | "changes" | "same",
  from: string | undefined,
  to: string,
  ...besides: string[],
];

const device = (field: string) => (value: string) => `cluster.customDevice={${field}: ${value}, source: a test}`;
const deviceCase = (field: string, direction: Case[1], from: string, to: string): Case => {
  const set = device(field);
  return [`cluster.customDevice.${field}`, direction, set(from), set(to)];
};

/** Links like those of an A2. */
const links = (inner: string, others = "", outer = "") =>
  `cluster.customTopology={levels: [{title: a, size: 8, bytesPerSecond: 1.0e11, ${inner}}, {title: b, size: 8, bytesPerSecond: 2.0e10, ${outer}}], source: a test ${others}}`;
const linkCase = (field: string, direction: Case[1], from: string, to: string): Case => [
  `cluster.customTopology.levels.[].${field}`,
  direction,
  links(`${field}: ${from}`).replace(field === "bytesPerSecond" ? "bytesPerSecond: 1.0e11, " : "\0", ""),
  links(`${field}: ${to}`).replace(field === "bytesPerSecond" ? "bytesPerSecond: 1.0e11, " : "\0", ""),
];

const failures = (change: string) => {
  const values = { hoursBetween: "20000", checkpointSeconds: "60", restartSeconds: "600" };
  const [key, value] = change.split(": ");
  return `cluster.failures={${Object.entries({ ...values, [key!]: value! })
    .map(([name, each]) => `${name}: ${each}`)
    .join(", ")}}`;
};
const failureCase = (field: string, direction: Case[1], from: string, to: string): Case => [
  `cluster.failures.${field}`,
  direction,
  failures(`${field}: ${from}`),
  failures(`${field}: ${to}`),
];

const set = (key: string, direction: Case[1], from: string | undefined, to: string, ...besides: string[]): Case => [
  key,
  direction,
  from === undefined ? undefined : `${key}=${from}`,
  `${key}=${to}`,
  ...besides,
];

const zipf = "routing.kind=zipf";
const burst = "routing.kind=burst";
const hot = "routing.kind=hot-experts";

const cases: readonly Case[] = [
  set("name", "same", undefined, "other"),
  set("description", "same", undefined, "other"),
  set("seed", "changes", "1", "2", zipf),
  set("model.preset", "changes", undefined, "olmoe"),
  set("model.title", "same", undefined, "other"),
  set("model.layers", "slower", "8", "16"),
  set("model.denseLayers", "changes", "2", "4"),
  set("model.hiddenSize", "slower", "2048", "4096"),
  set("model.heads", "slower", "32", "64"),
  set("model.keyValueHeads", "slower", "4", "8"),
  set("model.headSize", "slower", "128", "256"),
  ...(
    [
      ["queryRank", "256", "1024"],
      ["keyValueRank", "128", "512"],
      ["plainSize", "64", "128"],
      ["rotarySize", "64", "128"],
      ["valueSize", "64", "128"],
    ] as const
  ).map(([key, from, to]): Case => {
    const latent = (value: string) => `model.latent={${key}: ${value}}`;
    return [`model.latent.${key}`, "slower", latent(from), latent(to)];
  }),
  set("model.gated", "slower", "false", "true"),
  set("model.denseHiddenSize", "slower", "6144", "12288"),
  set("model.experts", "changes", "128", "64"),
  set("model.topK", "slower", "4", "8"),
  set("model.groups", "changes", "1", "8", "layout.spreadGroups=true"),
  set("model.limit", "slower", "1", "4", "model.groups=4", "dispatch=hierarchical"),
  set("model.expertHiddenSize", "slower", "768", "1536"),
  set("model.sharedHiddenSize", "slower", "768", "1536"),
  set("model.vocabulary", "slower", "50000", "150000"),
  set("model.tiedEmbedding", "faster", "false", "true", "layout.pipeline=1"),
  set("model.predictionLayers", "slower", "0", "1"),
  set("cluster.devices", "faster", "32", "64"),
  set("cluster.device", "faster", "ascend-910b3", "ascend-910b2"),
  deviceCase("title", "same", "one", "other"),
  // It decides whether the job fits, not how long it takes.
  deviceCase("memoryBytes", "same", "6.4e10", "3.2e10"),
  deviceCase("peakFlopsPerSecond", "faster", "2.0e14", "4.0e14"),
  [
    "cluster.customDevice.eightBitFlopsPerSecond",
    "faster",
    device("eightBitFlopsPerSecond")("6.0e14"),
    device("eightBitFlopsPerSecond")("8.0e14"),
    "products=fp8",
  ],
  [
    "cluster.customDevice.eightBitGemmEfficiency",
    "faster",
    device("eightBitGemmEfficiency")("0.5").replace("{", "{eightBitFlopsPerSecond: 6.0e14, "),
    device("eightBitGemmEfficiency")("0.9").replace("{", "{eightBitFlopsPerSecond: 6.0e14, "),
    "products=fp8",
  ],
  deviceCase("cores", "changes", "20", "24"),
  deviceCase("memoryBytesPerSecond", "faster", "1.0e12", "2.0e12"),
  deviceCase("gemmEfficiency", "faster", "0.5", "0.9"),
  deviceCase("groupedGemmEfficiency", "faster", "0.5", "0.9"),
  deviceCase("memoryEfficiency", "faster", "0.5", "0.9"),
  deviceCase("attentionEfficiency", "faster", "0.3", "0.6"),
  deviceCase("matrixKernelSeconds", "slower", "0", "1.0e-4"),
  deviceCase("vectorKernelSeconds", "slower", "0", "1.0e-4"),
  ["cluster.customDevice.source", "same", device("cores")("20"), device("cores")("20").replace("a test", "other")],
  set("cluster.topology", "changes", "a2-8xhccs-roce", "a3-measured"),
  ["cluster.customTopology.title", "same", links(""), links("", ", title: other")],
  linkCase("size", "changes", "8", "16").map((each) => each!.replace("size: 8, bytes", "bytes")) as unknown as Case,
  linkCase("title", "same", "a", "c").map((each) => each!.replace("title: a, size", "size")) as unknown as Case,
  // A whole unit gets the same out of both; of a part of it not all links of a mesh serve.
  [...linkCase("wiring", "slower", "switch", "mesh"), "layout.expert=4"] as unknown as Case,
  linkCase("port", "slower", "c", "b"),
  linkCase("bytesPerSecond", "faster", "1.0e11", "2.0e11"),
  linkCase("efficiency", "faster", "0.5", "0.9"),
  linkCase("latencySeconds", "slower", "0", "1.0e-4"),
  ...(["collectiveSeconds", "bulkStartSeconds"] as const).map(
    (field): Case => [
      `cluster.customTopology.${field}`,
      "slower",
      links("", `, ${field}: 0`),
      links("", `, ${field}: 1.0e-4`),
    ],
  ),
  ["cluster.customTopology.source", "same", links(""), links("").replace("a test", "other")],
  [
    "cluster.slow.[].device",
    "changes",
    "cluster.slow=[{device: 0, speed: 0.5}]",
    "cluster.slow=[{device: 31, speed: 0.5}]",
  ],
  [
    "cluster.slow.[].speed",
    "slower",
    "cluster.slow=[{device: 0, speed: 0.9}]",
    "cluster.slow=[{device: 0, speed: 0.5}]",
  ],
  failureCase("hoursBetween", "faster", "10000", "20000"),
  failureCase("checkpointSeconds", "slower", "60", "120"),
  failureCase("restartSeconds", "slower", "600", "1200"),
  set("layout.tensor", "changes", "1", "2"),
  set("layout.pipeline", "changes", "1", "2"),
  set("layout.virtual", "changes", "1", "2", "layout.schedule=interleaved"),
  // Given or left over, the same.
  set("layout.data", "same", undefined, "16"),
  set("layout.context", "changes", "1", "2"),
  set("layout.expert", "changes", "8", "16"),
  set("layout.expertTensor", "changes", "1", "2", "layout.expert=8"),
  // Less is streamed, but backward gathers its input a second time.
  set("layout.sequenceParallel", "changes", "false", "true", "layout.tensor=2"),
  set("layout.schedule", "faster", "1f1b", "zb-1p"),
  set("layout.paddingLayers", "changes", "0", "2"),
  set("layout.order", "changes", undefined, "[pipeline, data, tensor, context]"),
  set("layout.distributedOptimizer", "faster", "false", "true"),
  set("layout.spreadGroups", "same", "false", "true"),
  set("batch.sequence", "slower", "2048", "4096"),
  set("batch.microBatch", "changes", "1", "2"),
  set("batch.globalBatch", "slower", "128", "256"),
  set("batch.globalTokens", "slower", "524288", "1048576"),
  set("batch.accumulation", "slower", "4", "8"),
  set("routing.kind", "slower", "uniform", "hot-rank"),
  set("routing.exponent", "slower", "0.2", "1", zipf),
  set("routing.sigma", "slower", "0.2", "1", "routing.kind=log-normal"),
  set("routing.factor", "slower", "1.5", "3"),
  set("routing.count", "changes", "1", "3", hot),
  set("routing.every", "faster", "2", "4", burst),
  set("recompute", "slower", "none", "full"),
  set("recompute", "slower", "none", "fine-grained"),
  set("recompute", "slower", "none", "selective"),
  set("recomputeLayers", "slower", "1", "3", "recompute=full"),
  set("dispatch", "changes", "all-to-all", "hierarchical"),
  set("dispatch", "changes", "all-to-all", "all-gather"),
  set("dispatch", "faster", "hierarchical", "streamed"),
  set("deduplicate", "faster", "false", "true"),
  set("overlap.tensor", "faster", "0", "0.5", "layout.tensor=2"),
  set("overlap.expert", "faster", "0", "0.5"),
  set("overlap.data", "faster", "0", "0.5"),
  set("overlap.slowdown", "slower", "0.1", "0.5", "overlap.expert=0.5"),
  set("products", "faster", "bf16", "fp8", "cluster.device=ascend-950pr"),
  set("bytesPerValue", "slower", "2", "4"),
  set("bytesPerDispatched", "slower", "1", "2"),
  // It decides whether the job fits, not how long it takes.
  set("bytesPerKept", "same", "1", "2"),
  set("bytesPerGradient", "slower", "2", "4"),
  set("bytesPerState", "slower", "8", "12"),
  ...(["5.0e9", "1.0e9"] as const).map(
    (to): Case => [
      "offload.bytesPerSecond",
      "slower",
      "offload={bytesPerSecond: 1.0e10, source: a test}",
      `offload={bytesPerSecond: ${to}, source: a test}`,
    ],
  ),
  [
    "offload.source",
    "same",
    "offload={bytesPerSecond: 1.0e10, source: a test}",
    "offload={bytesPerSecond: 1.0e10, source: other}",
  ],
];

/** Inputs that are read before a job is made: files and runs, tested with the command. */
const opened = ["$schema", "extends", "routing.file", "routing.run", "routing.variant"];

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

function leaves({ properties, items }: JsonSchema, path: readonly string[] = []): string[] {
  if (properties !== undefined) return Object.entries(properties).flatMap(([key, own]) => leaves(own, [...path, key]));
  return items?.properties === undefined ? [path.join(".")] : leaves(items, [...path, "[]"]);
}

describe("sensitivity of the step to every input", () => {
  it("is said for every key of the schema", () => {
    const schema = JSON.parse(readFileSync("configs/cost.schema.json", "utf8")) as JsonSchema;
    const said = new Set([...cases.map(([key]) => key), ...opened]);
    expect(leaves(schema).filter((key) => !said.has(key))).to.deep.equal([]);
    expect([...said].filter((key) => !leaves(schema).includes(key))).to.deep.equal([]);
  });

  for (const [key, direction, from, to, ...besides] of cases) {
    it(`${key}: ${direction}, from ${from?.slice(0, 90) ?? "nothing"}`, () => {
      const before = seconds([...besides, ...(from === undefined ? [] : [from])]);
      const after = seconds([...besides, to]);
      if (direction === "faster") expect(after).to.be.below(before);
      else if (direction === "slower") expect(after).to.be.above(before);
      else if (direction === "same") expect(after).to.equal(before);
      else expect(after).to.not.equal(before);
    });
  }
});
