import { expect } from "chai";
import type { Job } from "../../src/cluster/job.ts";
import { trafficOf } from "../../src/cluster/traffic.ts";
import { plainLayout, routingOf, smallJob } from "./small-job.ts";

// Qwen3-30B-A3B of 4 layers, 2048 wide, top-8; 4 micro-batches of 4096 tokens, values of 2 bytes.
const base: Job = { ...smallJob, model: { ...smallJob.model, layers: 4 } };
const job = (change: Partial<typeof plainLayout>, more: Partial<Job> = {}): Job => {
  const layout = { ...plainLayout, pipeline: 1, data: 8, ...change };
  return { ...base, layout, batch: { ...base.batch, globalBatch: 4 * layout.data }, ...more };
};
const [tokens, vector, layers, microBatches] = [4096, 2048 * 2, 4, 4];
const link = (of: Job, purpose: string, level: number, routing = routingOf({}, of)) =>
  trafficOf(of, routing).links.find((each) => each.purpose === purpose && each.level === level);

describe("the bytes of a step", () => {
  it("every pair of an even exchange carries tokens · K / D vectors, there and back, forward and backward", () => {
    const { pairs } = trafficOf(job({}), routingOf({}, job({})));
    const each = 4 * ((tokens * 8) / 8) * vector * layers * microBatches;
    expect(pairs.length).to.equal(1);
    for (const [i, bytes] of pairs[0]!.entries()) expect(bytes).to.equal(i % 9 === 0 ? 0 : each);
  });

  it("on two servers of 8, 7 of 16 parts stay inside and 8 go between", () => {
    const two = job({ data: 16, expert: 16 });
    const part = 4 * ((tokens * 8) / 16) * vector * layers * microBatches;
    expect(link(two, "experts", 0)).to.deep.include({ mean: 7 * part, most: 7 * part });
    expect(link(two, "experts", 1)).to.deep.include({ mean: 8 * part, most: 8 * part });
  });

  it("sent once to each node, a token crosses once however many experts it has there", () => {
    // A token that wants all experts needs both nodes and all devices, 7 of them beside the one that forwards it.
    const two = job({ data: 16, expert: 16 }, { dispatch: "hierarchical" });
    const all = { ...two, model: { ...two.model, topK: 128 } };
    const once = 4 * tokens * vector * layers * microBatches;
    expect(link(all, "experts", 1)!.mean).to.be.closeTo(once, 1e-9 * once);
    expect(link(all, "experts", 0)!.mean).to.be.closeTo(7 * 2 * once, 1e-2 * once);
  });

  it("a hot rank sends and receives more than the mean, and the mean stays", () => {
    const even = link(job({}), "experts", 0)!;
    const hot = link(job({}), "experts", 0, routingOf({ kind: "hot-rank", factor: 2 }, job({})))!;
    expect(hot.mean).to.be.closeTo(even.mean, 1e-3 * even.mean);
    expect(hot.most).to.be.greaterThan(1.3 * even.most);
  });

  it("tensor parallelism gathers and scatters 5 times a network, and once more forward when recomputed", () => {
    const four = job({ tensor: 4, data: 2 });
    const gathered = (3 / 4) * tokens * vector; // what one device sends in a group of 4
    const networks = layers * 1 + 2; // attention, the embedding and the head; experts are whole
    expect(link(four, "tensor", 0)!.mean).to.be.closeTo(5 * networks * gathered * microBatches, 1);
    const again = link({ ...four, recompute: "full" }, "tensor", 0)!.mean;
    expect(again).to.be.closeTo((5 * networks + 2 * layers) * gathered * microBatches, 1);
  });

  it("a middle stage sends activations on and gradients back, an outer one does one of the two", () => {
    const staged = job({ pipeline: 4, data: 8, order: ["pipeline", "tensor", "context", "data"] });
    const message = tokens * vector * microBatches;
    expect(link(staged, "pipeline", 0)).to.deep.include({ mean: (6 / 4) * message, most: 2 * message });
  });

  it("gradients: 4 bytes out and 2 back of every parameter, 7/8 of them sent, with 8 replicas of all", () => {
    const dense = job({ expert: 1 });
    const one = { ...dense, layout: { ...dense.layout, expert: 1 } };
    const { mean } = link(one, "gradients", 0)!;
    const perLayer = 2048 * (4096 + 2 * 512) + 4096 * 2048 + 2 * 128 + 2 * 2048 + 128 * 2048 + 128 * 3 * 2048 * 768;
    const parameters = layers * perLayer + 2 * 151_936 * 2048 + 2048;
    expect(mean).to.be.closeTo((7 / 8) * 6 * parameters, 1);
  });
});
