import { expect } from "chai";
import { gatherPairBytes } from "../../src/cluster/gather.ts";
import { commonLevel } from "../../src/cluster/group-span.ts";
import type { Job } from "../../src/cluster/job.ts";
import { layoutGroups } from "../../src/cluster/layout.ts";
import { topologies } from "../../src/cluster/topologies.ts";
import { trafficOf } from "../../src/cluster/traffic.ts";
import { plainLayout, routingOf, smallJob } from "./small-job.ts";

// Qwen3-30B-A3B of 4 layers, 2048 wide, top-8; 4 micro-batches of 4096 tokens, values of 2 bytes.
const base: Job = { ...smallJob, model: { ...smallJob.model, layers: 4 } };
const job = (change: Partial<typeof plainLayout>, more: Partial<Job> = {}): Job => {
  const layout = { ...plainLayout, pipeline: 1, data: 8, ...change };
  return { ...base, layout, batch: { ...base.batch, globalBatch: 4 * layout.data }, ...more };
};
const a3 = (change: Partial<typeof plainLayout>): Job => ({ ...job(change), topology: topologies["a3-measured"] });
const [tokens, vector, layers, microBatches] = [4096, 2048 * 2, 4, 4];
const link = (of: Job, purpose: string, level: number, routing = routingOf({}, of)) =>
  trafficOf(of, routing).links.find((each) => each.purpose === purpose && each.level === level);

describe("the bytes of a step", () => {
  it("every pair of an even exchange carries tokens · K / D vectors, there and back, forward and backward", () => {
    const each = 4 * ((tokens * 8) / 8) * vector * layers * microBatches;
    const pairs = [...trafficOf(job({}), routingOf({}, job({}))).pairs()].filter(
      ({ purpose }) => purpose === "experts",
    );
    expect(pairs.length).to.equal(8 * 7);
    for (const { from, to, bytes } of pairs) expect(bytes, `${from} to ${to}`).to.equal(each);
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

  describe("between pairs of devices", () => {
    const skewed = { kind: "log-normal", sigma: 1 } as const;
    const cases: readonly [name: string, of: Job][] = [
      ["one server", job({})],
      ["two servers", job({ data: 16, expert: 16 })],
      ["tensor and expert-tensor parallelism", job({ tensor: 4, data: 8, expert: 8, expertTensor: 2 })],
      ["context parallelism over two servers", job({ context: 16, data: 2, expert: 16 })],
      ["a pipeline of chunks", { ...job({ pipeline: 2, virtual: 2, schedule: "interleaved" }), recompute: "full" }],
      ["DualPipe", job({ pipeline: 4, schedule: "dualpipe" }, { dispatch: "hierarchical" })],
      ["all-gather dispatch on three levels", { ...a3({ data: 32, expert: 32 }), dispatch: "all-gather" }],
      [
        "dispatch in 8 bits, once a node",
        job({ data: 16, expert: 16 }, { dispatch: "streamed", bytesPerDispatched: 1 }),
      ],
      ["replicas on other servers", job({ data: 32, expert: 8, order: ["pipeline", "data", "tensor", "context"] })],
    ];
    for (const [name, of] of cases) {
      it(`add up to the bytes of links, for every purpose and level: ${name}`, () => {
        const { links, pairs } = trafficOf(of, routingOf(skewed, of));
        const stages = of.layout.pipeline;
        const sent = new Map<string, number>();
        for (const { purpose, from, to, bytes } of pairs()) {
          const key = `${purpose} ${commonLevel(from, to, of.topology)}`;
          // Of the exchange all pairs of a group are listed; of the rest what one device sends.
          const isExchange = purpose === "experts" && layoutGroups(of.layout).expertTensor.length === 1;
          sent.set(key, (sent.get(key) ?? 0) + bytes / stages / (isExchange ? of.layout.expert : 1));
        }
        if (of.layout.expertTensor > 1) for (const key of sent.keys()) if (key.startsWith("experts")) sent.delete(key);
        const own = links.filter(({ purpose }) => of.layout.expertTensor === 1 || purpose !== "experts");
        expect([...sent.keys()].sort()).to.deep.equal(own.map(({ purpose, level }) => `${purpose} ${level}`).sort());
        for (const { purpose, level, mean } of own) {
          expect(sent.get(`${purpose} ${level}`)! / mean, `${purpose} ${level}`).to.be.closeTo(1, 1e-12);
        }
      });
    }

    it("with shared matrices, the exchange and the gathers between those that share add up, too", () => {
      const of = job({ tensor: 4, data: 8, expert: 8, expertTensor: 2 });
      const { links, pairs } = trafficOf(of, routingOf(skewed, of));
      const { expert, expertTensor } = layoutGroups(of.layout);
      let total = 0;
      for (const { purpose, from, to, bytes } of pairs()) {
        if (purpose !== "experts") continue;
        total += from === expertTensor[0] && to === expertTensor[1] ? bytes : bytes / expert.length;
      }
      const mean = links.filter(({ purpose }) => purpose === "experts").reduce((sum, each) => sum + each.mean, 0);
      expect(total / mean).to.be.closeTo(1, 1e-12);
    });

    it("tensor parallelism sends a T-th of the gathered activations to each peer, and nothing to others", () => {
      const of = job({ tensor: 4, data: 2 });
      const own = [...trafficOf(of, routingOf({}, of)).pairs()].filter(({ purpose }) => purpose === "tensor");
      expect(own.map(({ from, to }) => [from, to])).to.deep.equal([
        [0, 1],
        [0, 2],
        [0, 3],
      ]);
      for (const { bytes } of own) expect(bytes).to.equal(5 * (layers + 2) * ((tokens * vector) / 4) * microBatches);
    });

    it("a pipeline sends activations one way and as many gradients the other", () => {
      const of = job({ pipeline: 2 });
      const own = [...trafficOf(of, routingOf({}, of)).pairs()].filter(({ purpose }) => purpose === "pipeline");
      expect(own).to.deep.equal([
        { purpose: "pipeline", stage: 0, from: 0, to: 8, bytes: tokens * vector * microBatches },
        { purpose: "pipeline", stage: 1, from: 8, to: 0, bytes: tokens * vector * microBatches },
      ]);
    });

    it("an all-gather over two servers crosses between equals, then fans out inside", () => {
      // By levels: 1/16 of the bytes to the equal in the other server, then 1/8 to each of 7 neighbours.
      const bytes = 16e9;
      const sentTo = gatherPairBytes(bytes, { units: [8, 2] }, smallJob.topology);
      expect([1, 7, 8, 9].map((to) => sentTo(0, to))).to.deep.equal([2e9, 2e9, 1e9, 0]);
      expect(sentTo(3, 11)).to.equal(1e9);
      // Of a message so small that latencies decide, everyone sends its part to everyone.
      const small = gatherPairBytes(1600, { units: [8, 2] }, smallJob.topology);
      expect([1, 8, 9].map((to) => small(0, to))).to.deep.equal([100, 100, 100]);
    });

    it("are asymmetric where tokens leave in 8 bits and results come back in 16", () => {
      const of = job({}, { bytesPerDispatched: 1 });
      const own = [...trafficOf(of, routingOf({ kind: "hot-rank", factor: 3 }, of)).pairs()];
      const between = (a: number, b: number) =>
        own.find(({ purpose, from, to }) => purpose === "experts" && from === a && to === b)!.bytes;
      // The hot device answers in 16 bits what the others sent in 8.
      expect(between(0, 1)).to.be.greaterThan(between(1, 0));
      expect(between(1, 2)).to.equal(between(2, 1));
    });
  });
});
