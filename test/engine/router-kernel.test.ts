/** The routing kernel of the wasm engine against the routing pass that all other routers go through, bit for bit. */
import { expect } from "chai";
import { statistics } from "../../src/balance/statistics.ts";
import { randomStream } from "../../src/core/random.ts";
import type { Assignment } from "../../src/routing/assignment.ts";
import type { RoutingSettings } from "../../src/routing/route.ts";
import { type Routing, route, routeBackward } from "../../src/routing/route.ts";
import type { RouterShape } from "../../src/routing/router.ts";
import { builds, KernelMemory } from "./kernel-memory.ts";

const TOKENS = 40;

interface Case {
  readonly shape: RouterShape;
  readonly settings: RoutingSettings;
  readonly logits: Float32Array;
  readonly bias: Float64Array | undefined;
  /** [N] gradient by the sums of probabilities */
  readonly bySums: Float64Array | undefined;
  /** [T, K] */
  readonly dWeights: Float32Array;
}

/** Bits of everything that a pass writes, so that a negative zero is not a positive one. */
interface Bits {
  readonly scores: Uint32Array;
  readonly experts: Int32Array;
  readonly weights: Uint32Array;
  readonly dLogits: Uint32Array;
}

/** Of a number that is none, only that. */
const bitsOf = (values: Float32Array) =>
  new Uint32Array(values.map((value) => (Number.isNaN(value) ? Number.NaN : value)).buffer);

function bySharedPass({ shape, settings, logits, bias, bySums, dWeights }: Case): Bits {
  const slots = shape.topK;
  const experts = new Int32Array(TOKENS * slots);
  const weights = new Float32Array(TOKENS * slots);
  const assignment: Assignment = { tokens: TOKENS, slots, experts, refused: undefined, weights };
  const scores = new Float32Array(logits.length);
  const routing: Routing = { shape, settings, logits, scores, chosen: experts, assignment };
  route(routing, { bias });
  const dLogits = new Float32Array(logits.length);
  routeBackward(routing, { weights: dWeights, logits: dLogits }, (token, gradient) => {
    if (bySums) statistics.probability.addGradient!(routing, token, bySums, gradient);
  });
  return { scores: bitsOf(scores), experts, weights: bitsOf(weights), dLogits: bitsOf(dLogits) };
}

function byKernel(memory: KernelMemory, { shape, settings, logits, bias, bySums, dWeights }: Case): Bits {
  const { experts: width, topK } = shape;
  const isSoftmax = settings.scoreFunction === "softmax";
  const numbers = Float64Array.of(isSoftmax ? 0 : settings.epsilon!, settings.scale);
  const groups = settings.selection === "moge" ? shape.groups : 1;
  const words = Int32Array.of(width, topK, groups, isSoftmax ? 0 : 1, settings.normalisation === "chosen" ? 1 : 0);
  const gate = memory.bytes(new Uint8Array([...new Uint8Array(numbers.buffer), ...new Uint8Array(words.buffer)]));
  const doubles = (values: Float64Array | undefined) =>
    values === undefined ? 0 : memory.bytes(new Uint8Array(values.slice().buffer));
  const zeros = (count: number) => memory.floats(new Float32Array(count));
  const [scores, experts, weights] = [zeros(logits.length), zeros(TOKENS * topK), zeros(TOKENS * topK)];
  const dLogits = zeros(logits.length);
  const { kernels, scratch } = memory;
  kernels.routeForward(gate, memory.floats(logits), doubles(bias), scores, experts, weights, TOKENS, scratch);
  const gradient = memory.floats(dWeights);
  kernels.routeBackward(gate, scores, experts, doubles(bySums), gradient, dLogits, TOKENS, scratch);
  const read = (address: number, count: number) => Float32Array.from(memory.read(address, count));
  return {
    scores: bitsOf(read(scores, logits.length)),
    experts: new Int32Array(read(experts, TOKENS * topK).buffer),
    weights: bitsOf(read(weights, TOKENS * topK)),
    dLogits: bitsOf(read(dLogits, logits.length)),
  };
}

/** Ordinary rows first, then ties, rows that saturate, vanish or are all alike. */
function logitsOf(width: number, seed: number): Float32Array {
  const random = randomStream(seed, "logits");
  const logits = Float32Array.from({ length: TOKENS * width }, () => 6 * (random.uniform() - 0.5));
  const rows: ((i: number) => number)[] = [
    (i) => i % 2,
    () => 0,
    () => Number.NEGATIVE_INFINITY,
    (i) => (i === 1 ? 0 : Number.NEGATIVE_INFINITY),
    (i) => -740 * (i % 3),
    (i) => -710 - 20 * i,
    (i) => (i % 2 === 0 ? 1e30 : -1e30),
    (i) => (i === 0 ? -0 : 0),
    (i) => 30 * i,
  ];
  rows.forEach((value, row) => {
    for (let i = 0; i < width; i++) logits[row * width + i] = value(i);
  });
  return logits;
}

describe("router kernel", () => {
  const sizes = [
    { experts: 1, topK: 1, groups: 1 },
    { experts: 5, topK: 3, groups: 1 },
    { experts: 12, topK: 6, groups: 3 },
    { experts: 16, topK: 16, groups: 4 },
    { experts: 64, topK: 8, groups: 8 },
  ];
  for (const build of builds) {
    for (const selection of ["topk", "moge"] as const) {
      for (const scoreFunction of ["softmax", "sigmoid"] as const) {
        for (const normalisation of ["none", "chosen"] as const) {
          it(`${build}: is the shared pass, ${selection}, ${scoreFunction}, weights by ${normalisation}`, () => {
            sizes.forEach((shape, seed) => {
              for (const isBiased of [false, true]) {
                const random = randomStream(seed, "rest");
                const numbers = (count: number) => Float64Array.from({ length: count }, () => random.uniform() - 0.5);
                const one: Case = {
                  shape,
                  settings: { selection, scoreFunction, normalisation, scale: 2.5, epsilon: 1e-20 },
                  logits: logitsOf(shape.experts, seed),
                  bias: isBiased ? numbers(shape.experts) : undefined,
                  bySums: isBiased ? undefined : numbers(shape.experts).fill(-0, 0, 1),
                  dWeights: Float32Array.from(numbers(TOKENS * shape.topK)).fill(0, 0, shape.topK),
                };
                expect(byKernel(new KernelMemory(build), one), `${shape.experts} experts`).to.deep.equal(
                  bySharedPass(one),
                );
              }
            });
          });
        }
      }
    }
  }
});
