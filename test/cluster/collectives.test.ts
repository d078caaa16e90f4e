import { expect } from "chai";
import fc from "fast-check";
import { allToAllSeconds, evenAllToAllSeconds, hierarchicalAllToAllSeconds } from "../../src/cluster/all-to-all.ts";
import { topologies } from "../../src/cluster/topologies.ts";
import { groupBytesPerSecond, type Level, type Topology } from "../../src/cluster/topology.ts";

const a2 = topologies["a2-8xhccs-roce"];
const a3 = topologies["a3-measured"];
const [hccs, roce] = a2.levels as readonly Level[] as [Level, Level];
const MEGABYTE = 1e6;

/** [D, D] with the same bytes for every pair, the diagonal included. */
const uniform = (devices: number, bytes: number) => new Float64Array(devices * devices).fill(bytes);

function pairs(devices: number, ...entries: [from: number, to: number, bytes: number][]): Float64Array {
  const matrix = new Float64Array(devices * devices);
  for (const [from, to, bytes] of entries) matrix[from * devices + to] = bytes;
  return matrix;
}

const matrixOf = (devices: number) =>
  fc
    .array(fc.integer({ min: 0, max: 1e9 }), { minLength: devices * devices, maxLength: devices * devices })
    .map((values) => Float64Array.from(values));

function relabelled(matrix: Float64Array, order: readonly number[]): Float64Array {
  const devices = order.length;
  return matrix.map((_, i) => matrix[order[Math.floor(i / devices)]! * devices + order[i % devices]!]!);
}

describe("link bandwidth", () => {
  it("of an A2 mesh is 28, 84 and 196 GB/s for groups of 2, 4 and 8", () => {
    expect([2, 4, 8].map((group) => groupBytesPerSecond(hccs, group))).to.deep.equal([28e9, 84e9, 196e9]);
  });

  it("behind a switch does not depend on the group", () => {
    expect(groupBytesPerSecond(roce, 2)).to.equal(25e9);
    expect(groupBytesPerSecond(roce, 16)).to.equal(25e9);
  });
});

describe("all-to-all", () => {
  it("costs nothing without traffic or with local traffic alone, not even latency", () => {
    for (const topology of Object.values(topologies)) {
      expect(allToAllSeconds(uniform(8, 0), topology)).to.equal(0);
      expect(allToAllSeconds(pairs(8, [3, 3, 1e12], [5, 5, 7]), topology)).to.equal(0);
      expect(allToAllSeconds(uniform(1, 1e9), topology)).to.equal(0);
    }
  });

  it("on an ideal switch takes the largest sender or receiver / bandwidth", () => {
    expect(allToAllSeconds(uniform(8, 1e9), topologies.ideal)).to.equal(7e9 / 1e11);
    expect(allToAllSeconds(pairs(4, [0, 1, 2e9], [0, 2, 3e9], [3, 1, 1e9]), topologies.ideal)).to.equal(5e9 / 1e11);
    expect(allToAllSeconds(pairs(4, [0, 1, 2e9], [2, 1, 3e9], [3, 1, 1e9]), topologies.ideal)).to.equal(6e9 / 1e11);
  });

  it("within an A2 server: 10 µs, the 85 µs of bulk messages, three latencies, and a pair's bytes over its link", () => {
    const seconds = 10e-6 + 85e-6 + 3 * 0.5e-6 + (8 * MEGABYTE) / (0.7 * 28e9);
    expect(allToAllSeconds(uniform(8, 8 * MEGABYTE), a2)).to.be.closeTo(seconds, 1e-15);
    expect(allToAllSeconds(uniform(4, 8 * MEGABYTE), a2)).to.be.closeTo(seconds - 0.5e-6, 1e-15);
    expect(allToAllSeconds(uniform(2, 8 * MEGABYTE), a2)).to.be.closeTo(seconds - 1e-6, 1e-15);
  });

  it("between A2 servers: the network card carries what leaves the server while HCCS carries the rest", () => {
    const seconds = 10e-6 + 85e-6 + 1.5e-6 + (8 * MEGABYTE) / (0.7 * 25e9);
    expect(allToAllSeconds(uniform(16, MEGABYTE), a2)).to.be.closeTo(seconds, 1e-15);
    // Nothing leaves: two servers at once take what one takes.
    const within = uniform(16, MEGABYTE).map((bytes, i) =>
      Math.floor(i / 128) === Math.floor((i % 16) / 8) ? bytes : 0,
    );
    expect(allToAllSeconds(within, a2)).to.equal(allToAllSeconds(uniform(8, MEGABYTE), a2));
    // HCCS decides when almost all is local.
    const mostly = within.map((bytes, i) => (i === 8 ? 1 : bytes));
    expect(allToAllSeconds(mostly, a2)).to.equal(allToAllSeconds(uniform(8, MEGABYTE), a2));
  });

  it("on A3: both UB levels wait for the same lanes, the link between dies runs beside them", () => {
    // 16 dies achieve 0.66 of the links, 32 achieve 0.65; large messages start 85 µs late.
    const inNode = (share: number) => 3 * 0.7e-6 + (14 * MEGABYTE) / (share * 170e9);
    expect(allToAllSeconds(uniform(16, MEGABYTE), a3)).to.be.closeTo(91e-6 + inNode(0.66), 1e-15);
    const between = 1 * 2.1e-6 + (16 * MEGABYTE) / (0.65 * 150e9);
    expect(allToAllSeconds(uniform(32, MEGABYTE), a3)).to.be.closeTo(91e-6 + inNode(0.65) + between, 1e-15);
    const dies = 0.2e-6 + (100 * MEGABYTE) / (0.66 * 210e9);
    expect(allToAllSeconds(pairs(16, [0, 1, 100 * MEGABYTE], [0, 2, 1]), a3)).to.be.closeTo(91e-6 + dies, 1e-15);
  });

  it("does not depend on how the devices of a server, or whole servers, are numbered", () => {
    const order = (items: number[]) => fc.shuffledSubarray(items, { minLength: items.length });
    const within = fc.tuple(order([0, 1, 2, 3, 4, 5, 6, 7]), order([8, 9, 10, 11, 12, 13, 14, 15]), fc.boolean());
    fc.assert(
      fc.property(matrixOf(16), within, (bytes, [first, second, swap]) => {
        const numbering = swap ? [...second, ...first] : [...first, ...second];
        expect(allToAllSeconds(relabelled(bytes, numbering), a2)).to.equal(allToAllSeconds(bytes, a2));
      }),
      { numRuns: 50 },
    );
  });

  it("takes as long in reverse", () => {
    fc.assert(
      fc.property(matrixOf(16), fc.constantFrom<Topology>(a2, a3, topologies.ideal), (bytes, topology) => {
        const reverse = bytes.map((_, i) => bytes[(i % 16) * 16 + Math.floor(i / 16)]!);
        expect(allToAllSeconds(reverse, topology)).to.equal(allToAllSeconds(bytes, topology));
      }),
      { numRuns: 50 },
    );
  });

  it("is never faster with more bytes and never slower with more bandwidth", () => {
    fc.assert(
      fc.property(matrixOf(9), fc.nat(80), fc.constantFrom<Topology>(a2, a3), (bytes, at, topology) => {
        const seconds = allToAllSeconds(bytes, topology);
        const more = bytes.map((value, i) => (i === at ? value + MEGABYTE : value));
        expect(allToAllSeconds(more, topology)).to.be.at.least(seconds);
        const levels = topology.levels.map((level) => ({
          ...level,
          bytesPerSecond: { ...level.bytesPerSecond, value: level.bytesPerSecond.value * 2 },
        }));
        expect(allToAllSeconds(bytes, { ...topology, levels })).to.be.at.most(seconds);
      }),
      { numRuns: 50 },
    );
  });

  it("refuses a matrix that is not square and more devices than there are", () => {
    expect(() => allToAllSeconds(new Float64Array(12), a2)).to.throw(RangeError, "12 numbers are not a square matrix");
    const tiny: Topology = { ...a2, levels: [hccs] };
    expect(() => allToAllSeconds(uniform(9, 1), tiny)).to.throw(RangeError, /9 devices, but .* has 8/);
  });
});

describe("all-to-all in two stages", () => {
  const a2 = topologies["a2-8xhccs-roce"];
  const received = new Float64Array(16).fill(8e8);
  const byNode = new Float64Array(2).fill(3.2e9);
  // Each rank takes an eighth of what its node needs over RoCE, half of it from outside; then 7 links carry a share each.
  const start = 10e-6 + 85e-6;
  const between = start + 1.5e-6 + 3.2e9 / 8 / 2 / (0.7 * 25e9);
  const within = start + 3 * 0.5e-6 + 8e8 / 8 / (0.7 * 28e9);

  it("takes one after the other, or the longer of the two where nodes pass on what arrives", () => {
    const span = { units: [8, 2] };
    const seconds = (stages?: "side by side") => hierarchicalAllToAllSeconds(received, byNode, span, a2, stages);
    expect(seconds()).to.be.closeTo(between + within, 1e-9);
    expect(seconds("side by side")).to.be.closeTo(Math.max(between, within), 1e-9);
  });

  it("on one node is the plain one", () => {
    const own = new Float64Array(8).fill(8e8);
    const span = { units: [8, 1] };
    expect(hierarchicalAllToAllSeconds(own, new Float64Array(1).fill(3e9), span, a2)).to.equal(
      evenAllToAllSeconds(own, span, a2),
    );
  });
});
