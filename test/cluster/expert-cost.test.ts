import { expect } from "chai";
import { allToAllSeconds, evenAllToAllSeconds } from "../../src/cluster/all-to-all.ts";
import { ExpertCost } from "../../src/cluster/expert-cost.ts";
import type { Job } from "../../src/cluster/job.ts";
import { streamSeconds } from "../../src/cluster/kernels.ts";
import { layoutSpans } from "../../src/cluster/layout.ts";
import { type SkewName, skews } from "../../src/cluster/routing-profile.ts";
import { topologies } from "../../src/cluster/topologies.ts";
import { groupedTwin } from "./grouped-gemm.ts";
import { routingOf, smallJob } from "./small-job.ts";

const costOf = (job: Job) => new ExpertCost(job, layoutSpans(job.layout, job.topology));

describe("the cost of experts", () => {
  it("forward is what the kernels say one by one", () => {
    const cost = costOf(smallJob);
    const { picks } = routingOf({ kind: "zipf", exponent: 1.5 }, smallJob).profile(0, 0, 0);
    const { forward, rows } = cost.evaluate(routingOf({ kind: "zipf", exponent: 1.5 }, smallJob).profile(0, 0, 0));
    const { device, model } = smallJob;
    for (let d = 0; d < 8; d++) {
      const loads = Array.from(picks.subarray(16 * d, 16 * d + 16), (each) => Math.floor(each * cost.tokens + 0.5));
      const total = loads.reduce((sum, load) => sum + load, 0);
      const grouped = (columns: number, depth: number) =>
        groupedTwin(
          loads.map((load) => ({ rows: load, columns, depth })),
          2,
          2,
          device,
        );
      const expected =
        grouped(2 * 768, 2048) +
        grouped(2048, 768) +
        streamSeconds(3 * total * 768 * 2, device) +
        2 * streamSeconds(2 * total * 2048 * 2, device);
      expect(rows[d]).to.equal(total);
      expect(forward[d]).to.be.closeTo(expected, 1e-12);
      expect(model.experts).to.equal(128);
    }
  });

  it("finds the slowest device without working out the others", () => {
    for (const kind of Object.keys(skews) as SkewName[]) {
      for (const expert of [8, 16, 64]) {
        const job = { ...smallJob, layout: { ...smallJob.layout, expert, data: 64 } };
        const cost = costOf(job);
        const routing = routingOf({ kind, sigma: 1, exponent: 1.2 }, job);
        for (let layer = 0; layer < 8; layer++) {
          const all = cost.evaluate(routing.profile(layer, 0, 0));
          const slowest = cost.slowest(routing.profile(layer, 0, 0));
          expect(slowest.forward).to.equal(Math.max(...all.forward));
          expect(slowest.inputGradient).to.equal(Math.max(...all.inputGradient));
          expect(slowest.weightGradient).to.equal(Math.max(...all.weightGradient));
          expect(slowest.hottestRows).to.equal(Math.max(...all.rows));
          expect(slowest.dispatch).to.equal(all.dispatch);
        }
      }
    }
  });
});

describe("all-to-all from what everyone receives", () => {
  it("is the all-to-all of the matrix in which all sources send alike", () => {
    const cases = [
      { topology: topologies["a2-8xhccs-roce"], units: [8, 1] },
      { topology: topologies["a2-8xhccs-roce"], units: [8, 4] },
      { topology: topologies["a3-measured"], units: [2, 8, 2] },
      { topology: topologies["dgx-h800"], units: [8, 2] },
      { topology: topologies.ideal, units: [16] },
    ];
    for (const { topology, units } of cases) {
      const devices = units.reduce((product, each) => product * each, 1);
      const received = Float64Array.from({ length: devices }, (_, d) => 1e6 * (1 + ((d * 7) % 5)));
      const matrix = Float64Array.from({ length: devices * devices }, (_, i) => received[i % devices]! / devices);
      expect(evenAllToAllSeconds(received, { units }, topology)).to.be.closeTo(
        allToAllSeconds(matrix, topology),
        1e-12,
      );
    }
  });
});
