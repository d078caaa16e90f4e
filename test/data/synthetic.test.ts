import { expect } from "chai";
import fc from "fast-check";
import {
  alphabetSize,
  entropyRate,
  successors,
  syntheticContradiction,
  syntheticSource,
  topicOf,
  topicShares,
} from "../../src/data/synthetic.ts";

const settings = fc.record({
  topics: fc.integer({ min: 1, max: 64 }),
  skew: fc.double({ min: 0, max: 3, noNaN: true }),
  noise: fc.double({ min: 0, max: 0.99, noNaN: true }),
});

/** Calls back with every pair of neighbouring symbols and the topic of their sequence. */
function eachPair(
  { tokens, domain }: { tokens: Uint8Array; domain: Int32Array },
  length: number,
  pair: (before: number, after: number, topic: number) => void,
) {
  domain.forEach((topic, sequence) => {
    for (let i = 1; i < length; i++) pair(tokens[sequence * length + i - 1]!, tokens[sequence * length + i]!, topic);
  });
}

describe("syntheticSource", () => {
  it("is a pure function of the step; validation has sequences of its own", () => {
    const source = () => syntheticSource({ topics: 8, skew: 1, noise: 0.2 }, { context: 32, seed: 5 });
    expect(source().batch(3, 10)).to.deep.equal(source().batch(3, 10));
    expect(source().batch(3, 10).tokens).not.to.deep.equal(source().batch(4, 10).tokens);
    expect(source().batch(3, 4).tokens).to.deep.equal(
      source()
        .batch(3, 10)
        .tokens.slice(0, 4 * 33),
    );
    expect(source().validation(2, 4)).to.deep.equal(source().validation(2, 4));
    expect(source().validation(2, 4)).not.to.deep.equal(
      source()
        .validation(3, 4)
        .map((byte) => byte - 32),
    );
    expect(source().domains).to.deep.equal(["0", "1", "2", "3", "4", "5", "6", "7"].map((topic) => `topic-${topic}`));
  });

  it("keeps every sequence in its topic, in training and in validation", () => {
    fc.assert(
      fc.property(settings, fc.nat(), (given, step) => {
        const source = syntheticSource(given, { context: 12, seed: 1 });
        const { tokens, domain } = source.batch(step, 20);
        for (const [i, byte] of tokens.entries())
          expect(topicOf(byte, given.topics)).to.equal(domain[Math.floor(i / 13)]);
        const topic = step % given.topics;
        for (const byte of source.validation(topic, 5)) expect(topicOf(byte, given.topics)).to.equal(topic);
      }),
      { numRuns: 50 },
    );
  });

  it("draws topics by Zipf's shares", () => {
    const given = { topics: 8, skew: 1.2, noise: 0 };
    const harmonic = Array.from({ length: 8 }, (_, k) => (k + 1) ** -1.2);
    const sum = harmonic.reduce((a, b) => a + b);
    const shares = topicShares(given);
    for (const [k, weight] of harmonic.entries()) expect(shares[k]).to.be.closeTo(weight / sum, 1e-14);
    const draws = 40_000;
    const counts = new Float64Array(8);
    for (const topic of syntheticSource(given, { context: 1, seed: 11 }).batch(0, draws).domain) counts[topic]!++;
    const chiSquare = counts.reduce(
      (total, count, k) => total + (count - draws * shares[k]!) ** 2 / (draws * shares[k]!),
      0,
    );
    expect(chiSquare).to.be.below(24.3); // 0.1 % of the draws of 7 degrees of freedom lie above
    expect([...topicShares({ topics: 5, skew: 0, noise: 0 })]).to.deep.equal([0.2, 0.2, 0.2, 0.2, 0.2]);
  });

  it("goes to the successor with probability 1 − noise + noise/m, else to any symbol of the topic alike", () => {
    const given = { topics: 16, skew: 0, noise: 0.4 };
    const next = successors(16, 2);
    let pairs = 0;
    let followed = 0;
    const others = new Float64Array(16); // by distance from the successor
    eachPair(syntheticSource(given, { context: 200, seed: 2 }).batch(0, 300), 201, (before, after) => {
      pairs++;
      if (after === next[before]) followed++;
      else others[(after - next[before]! + 16) % 16]!++;
    });
    const successor = 0.6 + 0.4 / 16;
    const deviation = Math.sqrt((successor * (1 - successor)) / pairs);
    expect(followed / pairs).to.be.closeTo(successor, 4 * deviation);
    const expected = (pairs * 0.4) / 16;
    const chiSquare = others.slice(1).reduce((total, count) => total + (count - expected) ** 2 / expected, 0);
    expect(chiSquare).to.be.below(39.3); // 0.1 % of the draws of 15 degrees of freedom lie above
  });

  it("has the entropy rate of its closed form", () => {
    for (const given of [
      { topics: 8, skew: 0.5, noise: 0.1 },
      { topics: 1, skew: 0, noise: 0.7 },
      { topics: 48, skew: 1, noise: 0.95 },
    ]) {
      const m = Math.floor(256 / given.topics);
      const next = successors(given.topics, 4);
      let nats = 0;
      let squares = 0;
      let pairs = 0;
      eachPair(syntheticSource(given, { context: 300, seed: 4 }).batch(1, 400), 301, (before, after) => {
        const probability = given.noise / m + (after === next[before] ? 1 - given.noise : 0);
        nats -= Math.log(probability);
        squares += Math.log(probability) ** 2;
        pairs++;
      });
      const mean = nats / pairs;
      const error = Math.sqrt((squares / pairs - mean * mean) / pairs);
      expect(entropyRate(given)).to.be.closeTo(mean, 4 * error);
    }
    expect(entropyRate({ topics: 8, skew: 0, noise: 0 })).to.equal(0);
    expect(entropyRate({ topics: 8, skew: 0, noise: 0.5 })).to.be.closeTo(2.355996, 1e-6);
  });
});

describe("the truth of synthetic topics", () => {
  it("gives every topic a single cycle through its own alphabet", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.nat(), (topics, seed) => {
        const m = alphabetSize(topics);
        const next = successors(topics, seed);
        for (let topic = 0; topic < topics; topic++) {
          const start = topic * m;
          const seen = new Set<number>();
          for (let byte = start; !seen.has(byte); byte = next[byte]!) seen.add(byte);
          expect([...seen].sort((a, b) => a - b)).to.deep.equal(
            Array.from({ length: m }, (_, symbol) => start + symbol),
          );
        }
      }),
      { numRuns: 40 },
    );
    expect(
      successors(2, 1)
        .slice(128)
        .map((byte) => byte - 128),
    ).not.to.deep.equal(successors(2, 1).slice(0, 128));
  });

  it("tells the topic of a byte, and none for the values left over", () => {
    expect([0, 31, 32, 255].map((byte) => topicOf(byte, 8))).to.deep.equal([0, 0, 1, 7]);
    expect([252, 253, 254, 255].map((byte) => topicOf(byte, 23))).to.deep.equal([22, undefined, undefined, undefined]);
  });

  it("refuses more topics than there are alphabets of four", () => {
    expect(syntheticContradiction({ topics: 64, skew: 0, noise: 0 })).to.equal(undefined);
    const refused = { topics: 65, skew: 0, noise: 0 };
    expect(syntheticContradiction(refused)).to.match(/topics is 65.*at most 64/);
    expect(() => syntheticSource(refused, { context: 8, seed: 1 })).to.throw(/topics is 65/);
  });
});
