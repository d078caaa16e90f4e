import { expect } from "chai";
import { resolveCost } from "../../src/config/cost-job.ts";
import { ConfigError } from "../../src/config/problem.ts";

const good = `
name: test
model: { preset: qwen3-30b-a3b }
cluster: { devices: 16, device: ascend-910b3 }
layout: { pipeline: 2, expert: 8 }
batch: { globalBatch: 64 }
routing: { kind: uniform }
`;

const resolve = (text: string, ...sets: string[]) =>
  resolveCost({ path: "job.yaml", sets, read: () => text, besides: (_, path) => path });

function problemsOf(text: string, ...sets: string[]): string {
  try {
    resolve(text, ...sets);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error("was accepted");
}

describe("a cost config", () => {
  it("is resolved with what the number of devices leaves for data parallelism", () => {
    const { job } = resolve(good);
    expect(job.layout.data).to.equal(8);
    expect(job.model.layers).to.equal(48);
  });

  it("takes the batch in tokens, or in micro-batches of a replica", () => {
    const noBatch = good.replace("batch: { globalBatch: 64 }\n", "");
    expect(resolve(noBatch).job.batch.globalBatch).to.equal(256);
    expect(resolve(noBatch, "batch.globalTokens=524288").job.batch.globalBatch).to.equal(128);
    expect(resolve(noBatch, "batch.accumulation=4", "batch.microBatch=2").job.batch.globalBatch).to.equal(4 * 2 * 8);
    expect(problemsOf(noBatch, "batch.globalTokens=5000")).to.match(
      /5000 tokens do not divide evenly by sequences of 4096/,
    );
  });

  it("turns a group-limited preset into a grouped one, and latent attention into its own", () => {
    const deepseek = ["model.preset=deepseek-v3", "layout.paddingLayers=1"];
    expect(resolve(good, ...deepseek).job.model).to.include({ groups: 8, limit: 4 });
    const grouped = resolve(good, ...deepseek, "model.limit=0", "layout.spreadGroups=true").job.model;
    expect(grouped).to.include({ groups: 8 });
    expect(grouped).to.not.have.property("limit");
    const own = resolve(good, "model.latent={keyValueRank: 256}", "model.heads=16").job.model.attention;
    expect(own).to.deep.equal({
      kind: "latent",
      heads: 16,
      queryRank: 0,
      keyValueRank: 256,
      plainSize: 128,
      rotarySize: 64,
      valueSize: 128,
    });
  });

  it("takes numbers of its own for model, device and links, with their source", () => {
    const { job } = resolve(
      good,
      "model.layers=4",
      "cluster.customDevice={peakFlopsPerSecond: 1.0e14, source: a friend}",
      "cluster.customTopology={levels: [{title: wire, size: 16, bytesPerSecond: 1.0e9}], source: a friend}",
    );
    expect(job.model.layers).to.equal(4);
    expect(job.device.peakFlopsPerSecond).to.deep.equal({
      value: 1e14,
      source: "given in the config: a friend",
      evidence: "assumed",
    });
    expect(job.topology.levels[0]!.bytesPerSecond.value).to.equal(1e9);
  });

  const bad: [string, RegExp, ...string[]][] = [
    ["unknown model", /^--set model\.preset=qwen3 model\.preset: expected one of .*got "qwen3"/, "model.preset=qwen3"],
    [
      "unknown device",
      /cluster\.device: expected one of .*did you mean "ascend-910b3"\?/,
      "cluster.device=ascend-910b33",
    ],
    [
      "devices that do not divide",
      /17 devices do not divide evenly by tensor 1 · pipeline 2 · context 1 = 2/,
      "cluster.devices=17",
    ],
    ["data that does not fit", /data 3 = 6 devices, but cluster\.devices is 16/, "layout.data=3"],
    [
      "more devices for experts than experts",
      /^--set layout\.expert=256 layout\.expert: 256 expert-parallel devices are more than the 128 experts; take at most 128$/,
      "layout.expert=256",
    ],
    [
      "a spread of loads beyond doubles",
      /routing\.sigma: expected at most 100, got 1e\+308$/,
      "routing={kind: log-normal, sigma: 1.0e308}",
    ],
    ["experts that do not divide", /128 experts do not divide evenly by 7 devices/, "layout.expert=7"],
    [
      "a stage that does not divide",
      /expert 16 · expertTensor 1 does not divide the 8 devices of a stage/,
      "layout.expert=16",
    ],
    [
      "layers that do not divide",
      /48 layers and 0 of padding do not divide evenly by 2 stages of 5; layout\.paddingLayers 2 would do/,
      "layout.virtual=5",
      "layout.schedule=interleaved",
    ],
    [
      "heads that do not divide",
      /32 attention heads do not divide evenly by 3 tensor-parallel devices/,
      "layout.tensor=3",
      "cluster.devices=48",
    ],
    ["a batch that does not divide", /63 sequences do not divide evenly by 8/, "batch.globalBatch=63"],
    [
      "fractions of groups",
      /8 expert groups spread over 16 devices in fractions.*layout\.spreadGroups/,
      "model.preset=pangu-pro-moe-72b",
      "cluster.devices=32",
      "layout.expert=16",
    ],
    [
      "negative bandwidth",
      /bytesPerSecond: expected at least 1, got -1/,
      "cluster.customTopology={levels: [{title: a, size: 16, bytesPerSecond: -1}], source: me}",
    ],
    [
      "links without a source",
      /cluster\.customTopology\.source: expected text, it is missing/,
      "cluster.customTopology={levels: [{title: a, size: 16, bytesPerSecond: 1}]}",
    ],
    ["too few devices on the links", /16 devices are more than the 8 that/, "cluster.topology=a2-pcie"],
    ["a slow device that is not there", /device 16 is not among 0 … 15/, "cluster.slow=[{device: 16, speed: 0.5}]"],
    [
      "a device of two speeds",
      /device 1 has two speeds; give it one/,
      "cluster.slow=[{device: 1, speed: 0.5}, {device: 1, speed: 0.7}]",
    ],
    ["a device without any speed", /speed: expected more than 0, got 0/, "cluster.slow=[{device: 1, speed: 0}]"],
    ["chunks that 1F1B cannot have", /1f1b has one chunk of layers a device, not 2/, "layout.virtual=2"],
    [
      "an order with a dimension missing",
      /layout\.order: needs tensor, context, data and pipeline once each/,
      "layout.order=[tensor, data]",
    ],
    ["a table without a file", /routing\.file: a table needs the path of its CSV file/, "routing.kind=table"],
    ["unknown keys", /layout\.tensors: unknown key, did you mean "tensor"\?/, "layout.tensors=2"],
    [
      "layers to recompute of nothing",
      /recomputeLayers 3 has no effect while nothing is recomputed/,
      "recomputeLayers=3",
    ],
    [
      "heads of latent attention",
      /model\.keyValueHeads: latent attention has neither heads of keys and values nor one width of a head; see model\.latent/,
      "model.preset=deepseek-v3",
      "model.headSize=64",
    ],
    [
      "8-bit training on integers",
      /products: Ascend 910B3 cannot: its 8-bit products are of integers; say bf16/,
      "products=fp8",
    ],
    [
      "more groups of a token than groups",
      /model\.limit: limit 5 of 4 groups: expected at most 4/,
      "model.groups=4",
      "model.limit=5",
    ],
    [
      "groups too small for a token's experts",
      /limit 1 of 32 groups: .* and topK 8 experts between one a group and the 4 in them/,
      "model.groups=32",
      "model.limit=1",
    ],
    [
      "a batch said twice",
      /batch\.globalBatch: globalBatch 64 and accumulation 8 say the same thing; give one of them/,
      "batch.accumulation=8",
    ],
    [
      "more layers than anybody has",
      /model\.layers: expected at most 10000, got 1000000000$/,
      "model.layers=1000000000",
    ],
    [
      "a batch beyond all numbers",
      /^--set \S+ batch\.globalBatch: expected at most 1000000000, got 1e\+99$/,
      "batch.globalBatch=1e99",
    ],
    ["a batch that is no number", /batch\.globalBatch: expected a number, got NaN/, "batch.globalBatch=.nan"],
    [
      "more micro-batches than can be played",
      /8388608 micro-batches through 2 chunks are too many to play; take at most 1000000 of both/,
      "batch.globalBatch=67108864",
    ],
    ["overlap above 1", /overlap\.expert: expected at most 1, got 2/, "overlap.expert=2"],
  ];
  for (const [what, message, ...sets] of bad) {
    it(`refuses ${what} in one line`, () => {
      const problems = problemsOf(good, ...sets);
      expect(problems).to.match(message);
      // A line a problem: a number may go together with neither of two others.
      expect(problems.split("\n").length, problems).to.be.at.most(what.endsWith("do not divide") ? 2 : 1);
    });
  }

  it("refuses experts without a routing: nothing is uniform unless it is told to be", () => {
    expect(problemsOf(good.replace("routing: { kind: uniform }", ""))).to.match(
      /routing\.kind: say how tokens are spread over experts; uniform, if/,
    );
  });

  it("says which sizes a model without a preset lacks", () => {
    expect(problemsOf("name: a\nmodel: { layers: 2, hiddenSize: 64 }")).to.match(
      /model\.heads: without a preset it is missing/,
    );
  });
});
