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
      /layout\.expert: 256 expert-parallel devices are more than the 128 experts/,
      "layout.expert=256",
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
      /bytesPerSecond: expected more than 0, got -1/,
      "cluster.customTopology={levels: [{title: a, size: 16, bytesPerSecond: -1}], source: me}",
    ],
    [
      "links without a source",
      /cluster\.customTopology\.source: expected text, it is missing/,
      "cluster.customTopology={levels: [{title: a, size: 16, bytesPerSecond: 1}]}",
    ],
    ["too few devices on the links", /16 devices are more than the 8 that/, "cluster.topology=a2-pcie"],
    ["a slow device that is not there", /device 16 is not among 0 … 15/, "cluster.slow=[{device: 16, speed: 0.5}]"],
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
      /only the number of heads can be changed/,
      "model.preset=deepseek-v3",
      "model.headSize=64",
    ],
    ["overlap above 1", /overlap\.expert: expected at most 1, got 2/, "overlap.expert=2"],
  ];
  for (const [what, message, ...sets] of bad) {
    it(`refuses ${what} in one line`, () => {
      const problems = problemsOf(good, ...sets);
      expect(problems).to.match(message);
      expect(problems.split("\n").length).to.be.at.most(2);
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
