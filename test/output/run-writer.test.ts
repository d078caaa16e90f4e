import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { routingMetrics } from "../../src/metrics/routing-metrics.ts";
import { type CsvRow, readCsv } from "../../src/output/csv.ts";
import { RunWriter } from "../../src/output/run-writer.ts";
import { readSummary } from "../../src/output/summary-rows.ts";
import type { LayerStep, Step } from "../../src/simulate.ts";
import { type FakeShape, fakeSteps, fakeVariant, writeFakeRun } from "./fake-run.ts";
import { scratchDirectory } from "./scratch.ts";

/** Four experts on two devices; eight choices a token, so the mean expert has 2·T and the mean device 4·T. */
const tiny: FakeShape = { steps: 2, layers: 2, experts: 4, devices: 2, tokens: 10, every: 5 };
const small: FakeShape = { steps: 25, layers: 2, experts: 16, devices: 4, tokens: 256, every: 10 };

const deviceOf = [0, 0, 1, 1];
const layers: LayerStep[] = [
  {
    layer: 1,
    expertLoad: [40, 20, 10, 10],
    deviceOf,
    deviceLoad: [60, 20],
    metrics: {
      "fan-out": 1.5,
      copies: 2,
      "gate-mass": 1,
      "co-activation": 0.5,
      "same-device-pairs": 0.25,
      "temporal-locality": 0.125,
    },
    balanceLoss: 0.25,
  },
  {
    layer: 3,
    expertLoad: [20, 20, 20, 20],
    deviceOf,
    deviceLoad: [40, 40],
    metrics: {
      "fan-out": 2,
      copies: 2,
      "gate-mass": 0.5,
      "co-activation": 0.25,
      "same-device-pairs": Number.NaN,
      "temporal-locality": 0.375,
    },
    balanceLoss: 0.5,
  },
];
const step: Step = {
  step: 1,
  learningRate: 1e-3,
  trainingLossNatsPerByte: 5.5,
  gradientNorm: 2,
  tokens: 10,
  layers,
  simulated: { stepSeconds: 0.007, computeSeconds: 0.004, waitSeconds: 0.001, communicationSeconds: 0.002, layers: [] },
};
const last: Step = {
  ...step,
  step: 2,
  layers: [layers[1]!, layers[1]!].map((layer, i) => ({ ...layer, layer: 2 * i + 1 })),
  validation: {
    lossNatsPerByte: 3,
    domains: [
      { domain: "a", lossNatsPerByte: 2 },
      { domain: "b, c", lossNatsPerByte: 4 },
    ],
  },
  simulated: { stepSeconds: 0.003, computeSeconds: 0.002, waitSeconds: 0, communicationSeconds: 0.001, layers: [] },
};

const contents = (directory: string) =>
  Object.fromEntries(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), "utf8")]));

const withoutEmpty = (row: CsvRow) => Object.fromEntries(Object.entries(row).filter(([, cell]) => cell !== ""));

describe("output/run-writer", () => {
  const scratch = scratchDirectory();

  function writeTiny(): string {
    const directory = scratch();
    const writer = new RunWriter(directory, [fakeVariant("moge", tiny), fakeVariant("dense", tiny)]);
    writer.step("moge", step);
    writer.step("moge", last);
    writer.finishVariant("moge", { parameters: 123, tokens: 20 });
    const { simulated: _, ...unpriced } = { ...last, layers: [] };
    writer.step("dense", unpriced);
    writer.finishVariant("dense", { parameters: 45, tokens: 20 });
    writer.close();
    return directory;
  }

  it("writes hand-computed values to steps.csv", () => {
    const [first, second] = readCsv(join(writeTiny(), "steps.csv"));
    expect(withoutEmpty(first!)).to.deep.equal({
      variant: "moge",
      step: "1",
      learning_rate: "0.001",
      training_loss_nats_per_byte: "5.5",
      gradient_norm: "2",
      balance_loss: "0.75",
      imbalance_score: "2", // (60 − 20)/10 and 0
      imbalance_score_max: "4",
      device_max_over_mean: "1.25", // 60/40 and 1
      expert_max_over_mean: "1.5", // 40/20 and 1
      fan_out_devices_per_token: "1.75",
      copies_per_token: "2",
      gate_mass: "0.75",
      co_activation: "0.375",
      temporal_locality: "0.25",
      simulated_step_seconds: "0.007",
      simulated_compute_seconds: "0.004",
      simulated_wait_seconds: "0.001",
      simulated_communication_seconds: "0.002",
    });
    expect(second).to.include({ step: "2", validation_loss_nats_per_byte: "3", imbalance_score: "0" });
  });

  it("writes the load metrics of experts and devices to layers.csv", () => {
    const [first, second, ...others] = readCsv(join(writeTiny(), "layers.csv"));
    expect(others).to.have.length(2);
    expect(first).to.include({
      layer: "1",
      device_imbalance_score: "4",
      device_max_over_mean: "1.5",
      expert_max_over_mean: "2",
    });
    expect(first).to.include({ expert_max_violation: "1", fan_out_devices_per_token: "1.5", balance_loss: "0.25" });
    // deviations 20, 0, −10, −10 from 20: σ = √150
    expect(Number(first!["expert_coefficient_of_variation"])).to.be.closeTo(Math.sqrt(150) / 20, 1e-8);
    expect(first).not.to.have.property("expert_imbalance_score");
    expect(second).to.include({ layer: "3", gate_mass: "0.5", device_gini: "0", expert_normalised_entropy: "1" });
  });

  it("writes loads and shares, experts with the device that holds them", () => {
    const directory = writeTiny();
    const experts = readCsv(join(directory, "expert-load.csv"));
    expect(experts.map((row) => row["step"])).to.deep.equal(Array(8).fill("2")); // step 1 is thinned away, 2 is the last
    expect(experts.slice(0, 4).map((row) => row["device"])).to.deep.equal(["0", "0", "1", "1"]);
    expect(experts[3]).to.deep.equal({
      variant: "moge",
      step: "2",
      layer: "1",
      expert: "3",
      device: "1",
      assignments: "20",
      share: "0.25",
    });
    const devices = readCsv(join(directory, "device-load.csv"));
    expect(devices.slice(0, 2).map((row) => row["assignments"])).to.deep.equal(["60", "20"]);
    expect(devices).to.have.length(8);
  });

  it("writes each domain's validation loss", () => {
    expect(readCsv(join(writeTiny(), "validation.csv")).slice(0, 2)).to.deep.equal([
      { variant: "moge", step: "2", domain: "a", validation_loss_nats_per_byte: "2" },
      { variant: "moge", step: "2", domain: "b, c", validation_loss_nats_per_byte: "4" },
    ]);
  });

  it("sums a variant up", () => {
    const [moge] = readSummary(writeTiny());
    expect(moge).to.deep.equal({
      variant: "moge",
      values: {
        steps: 2,
        tokens: 20,
        parameters: 123,
        validation_loss_nats_per_byte: 3,
        imbalance_score_mean: 0, // the last half: step 2 alone, not the 4 of step 1
        imbalance_score_p95: 0,
        imbalance_score_max: 0,
        device_max_over_mean: 1,
        expert_max_over_mean: 1,
        fan_out_devices_per_token: 2,
        gate_mass: 0.5,
        simulated_step_seconds: 0.003,
        simulated_compute_seconds: 0.002,
        simulated_wait_seconds: 0,
        simulated_communication_seconds: 0.001,
      },
    });
  });

  it("leaves the routing cells of a dense variant empty", () => {
    const directory = writeTiny();
    const dense = readCsv(join(directory, "steps.csv")).find((row) => row["variant"] === "dense")!;
    const empty = Object.keys(dense).filter((column) => dense[column] === "");
    expect(empty).to.deep.equal([
      "balance_loss",
      "imbalance_score",
      "imbalance_score_max",
      "device_max_over_mean",
      "expert_max_over_mean",
      ...Object.values(routingMetrics).map(({ column }) => column),
      "simulated_step_seconds",
      "simulated_compute_seconds",
      "simulated_wait_seconds",
      "simulated_communication_seconds",
    ]);
    expect(readSummary(directory)[1]).to.deep.equal({
      variant: "dense",
      values: { steps: 1, tokens: 20, parameters: 45, validation_loss_nats_per_byte: 3 },
    });
    expect(readCsv(join(directory, "layers.csv")).every((row) => row["variant"] === "moge")).to.equal(true);
  });

  it("writes how early each layer routed as in the end, with the last step alone", () => {
    const directory = scratch();
    const writer = new RunWriter(directory, [fakeVariant("topk", small)]);
    for (const step of fakeSteps("topk", small)) {
      const saturation = [3, 25].map((at) => ({ step: at, layer: 1, saturation: at / 25 }));
      writer.step("topk", step.step === small.steps ? { ...step, saturation } : step);
    }
    writer.close();
    expect(readCsv(join(directory, "saturation.csv"))).to.deep.equal([
      { variant: "topk", step: "3", layer: "1", router_saturation: "0.12" },
      { variant: "topk", step: "25", layer: "1", router_saturation: "1" },
    ]);
  });

  it("thins expert loads to each record.every steps and the last", () => {
    const directory = scratch();
    writeFakeRun(directory, ["topk"], small);
    const steps = (file: string) => [...new Set(readCsv(join(directory, file)).map((row) => Number(row["step"])))];
    expect(steps("expert-load.csv")).to.deep.equal([10, 20, 25]);
    expect(steps("device-load.csv")).to.deep.equal(Array.from({ length: 25 }, (_, i) => i + 1));
  });

  it("takes mean, maximum and p95 (between the ranks around 0.95·(n − 1), as numpy does) of the last half", () => {
    const directory = scratch();
    writeFakeRun(directory, ["topk"], { ...small, steps: 27 });
    const rows = readCsv(join(directory, "layers.csv")).filter((row) => Number(row["step"]) >= 14);
    const ascending = rows.map((row) => Number(row["device_imbalance_score"])).sort((a, b) => a - b);
    expect(ascending).to.have.length(28); // 0.95·27 = 25.65
    expect(ascending[26]).to.be.above(ascending[25]!);
    const { values } = readSummary(directory)[0]!;
    expect(values.imbalance_score_p95).to.be.closeTo(0.35 * ascending[25]! + 0.65 * ascending[26]!, 1e-8);
    expect(values.imbalance_score_max).to.equal(ascending[27]);
    expect(values.imbalance_score_mean).to.be.closeTo(ascending.reduce((a, b) => a + b) / 28, 1e-8);
    const fanOuts = rows.map((row) => Number(row["fan_out_devices_per_token"]));
    expect(values.fan_out_devices_per_token).to.be.closeTo(fanOuts.reduce((a, b) => a + b) / 28, 1e-8);
  });

  it("writes the same bytes with an interruption as without", () => {
    const [whole, broken] = [scratch(), scratch()];
    const names = ["topk", "moge", "dense"];
    writeFakeRun(whole, names, small);
    const variants = names.map((name) => fakeVariant(name, small));
    const facts = { parameters: 1_234_567, tokens: small.steps * small.tokens };

    const first = new RunWriter(broken, variants);
    for (const each of fakeSteps("topk", small)) first.step("topk", each);
    first.finishVariant("topk", facts);
    const steps = [...fakeSteps("moge", small)];
    for (const each of steps.slice(0, 11)) first.step("moge", each);
    const positions = JSON.parse(JSON.stringify(first.positions()));
    for (const each of steps.slice(11, 20)) first.step("moge", each); // lost: after the checkpoint
    first.close();

    const second = new RunWriter(broken, variants, positions);
    for (const each of steps.slice(11)) second.step("moge", each);
    second.finishVariant("moge", facts);
    for (const each of fakeSteps("dense", small)) second.step("dense", each);
    second.finishVariant("dense", facts);
    second.close();
    expect(contents(broken)).to.deep.equal(contents(whole));
  });

  it("refuses a variant that it was not opened with", () => {
    const writer = new RunWriter(scratch(), [fakeVariant("topk", tiny)]);
    expect(() => writer.step("mgoe", step)).to.throw("variant mgoe: not one of topk");
    writer.close();
  });
});
