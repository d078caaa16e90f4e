import { expect } from "chai";
import fc from "fast-check";
import { DataError } from "../../src/data/source.ts";
import { textSource } from "../../src/data/text.ts";

/** A text whose bytes say what they are: the domain in the high bits, and whether they are for training or validation. */
function marked(domain: number, trainingBytes: number, validationBytes: number): Uint8Array {
  const bytes = new Uint8Array(trainingBytes + validationBytes).fill(2 * domain);
  bytes.fill(2 * domain + 1, trainingBytes);
  return bytes;
}

const named = (texts: Uint8Array[]) => texts.map((bytes, i) => ({ name: `domain-${i}`, bytes }));

/** Every position of the text is told by its two bytes. */
const counting = Uint8Array.from({ length: 2 * 5000 }, (_, i) => (i % 2 === 0 ? i >> 9 : (i >> 1) & 255));
const positionOf = (window: Uint8Array) => 2 * (window[0]! * 256 + window[1]!);

describe("textSource", () => {
  const settings = { context: 8, seed: 3, validationFraction: 0.25 };

  it("gives the same batch for the same step and seed, and another for another", () => {
    const texts = named([counting]);
    const batch = (step: number, seed = 3) => textSource(texts, { ...settings, seed }).batch(step, 16);
    expect(batch(7)).to.deep.equal(batch(7));
    expect(batch(7).tokens).not.to.deep.equal(batch(8).tokens);
    expect(batch(7).tokens).not.to.deep.equal(batch(7, 4).tokens);
    const source = textSource(texts, settings);
    source.batch(1, 16);
    source.validation(0, 3);
    expect(source.batch(7, 16), "whatever was asked for before").to.deep.equal(batch(7));
  });

  it("draws training windows from the training block, validation windows from the validation block", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 80, max: 400 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 15 }),
        fc.nat(),
        fc.integer({ min: 1, max: 40 }),
        (quarters, context, step, sequences) => {
          const texts = named(quarters.map((quarter, domain) => marked(domain, 3 * quarter, quarter)));
          const source = textSource(texts, { context, seed: 1, validationFraction: 0.25 });
          const { tokens, domain } = source.batch(step, sequences);
          expect(tokens.length).to.equal(sequences * (context + 1));
          for (const [i, byte] of tokens.entries()) expect(byte).to.equal(2 * domain[Math.floor(i / (context + 1))]!);
          for (const index of quarters.keys()) {
            expect(new Set(source.validation(index, sequences))).to.deep.equal(new Set([2 * index + 1]));
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("reaches the first and the last training position, all about equally often", () => {
    const bytes = Uint8Array.from({ length: 40 }, (_, i) => i);
    const source = textSource(named([bytes]), { context: 9, seed: 1, validationFraction: 0.25 });
    const drawn = new Map<number, number>();
    const { tokens } = source.batch(0, 21_000);
    for (let i = 0; i < tokens.length; i += 10) drawn.set(tokens[i]!, (drawn.get(tokens[i]!) ?? 0) + 1);
    const positions = [...drawn.keys()].sort((a, b) => a - b);
    expect(positions).to.deep.equal(Array.from({ length: 21 }, (_, i) => i)); // 30 training bytes, windows of 10
    const chiSquare = [...drawn.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(chiSquare).to.be.below(45.3); // 0.1 % of the draws of 20 degrees of freedom lie above
  });

  it("takes consecutive bytes", () => {
    const { tokens } = textSource(named([counting]), { context: 63, seed: 1, validationFraction: 0.5 }).batch(0, 5);
    for (let i = 0; i < tokens.length; i += 64) {
      const window = tokens.slice(i, i + 64);
      const start = counting.findIndex((_, at) => window.every((byte, offset) => counting[at + offset] === byte));
      expect(start).to.be.within(0, counting.length / 2 - 64);
    }
  });

  it("deals the domains equally often, mixed, and a larger batch begins with the smaller", () => {
    const source = textSource(named([0, 1, 2, 3, 4].map((domain) => marked(domain, 60, 20))), settings);
    const orders = new Set<string>();
    for (let step = 0; step < 50; step++) {
      const { domain, tokens } = source.batch(step, 12);
      const counts = [0, 1, 2, 3, 4].map((index) => domain.filter((one) => one === index).length);
      expect(Math.max(...counts) - Math.min(...counts)).to.be.at.most(1);
      expect(new Set(domain.slice(0, 5)).size, "each round has every domain").to.equal(5);
      orders.add(domain.slice(0, 5).join());
      expect(source.batch(step, 7).tokens).to.deep.equal(tokens.slice(0, 7 * 9));
    }
    expect(orders.size).to.be.above(25); // of 120 orders
    const second = Array.from({ length: 2000 }, (_, step) => source.batch(step, 2).domain[1]!);
    for (const index of [0, 1, 2, 3, 4]) {
      expect(second.filter((one) => one === index).length).to.be.within(330, 470); // 400 ± 3.9 σ
    }
  });

  it("spreads validation windows evenly and without overlap while they fit", () => {
    const validation = (sequences: number) => {
      const tokens = textSource(named([counting]), { context: 9, seed: 9, validationFraction: 0.1 }).validation(
        0,
        sequences,
      );
      return Array.from({ length: sequences }, (_, i) => positionOf(tokens.slice(10 * i, 10 * i + 10)));
    };
    const starts = validation(46); // spacing 22: even, so that two bytes tell the position
    expect(starts[0]).to.equal(9000);
    expect(starts.at(-1)).to.equal(9990);
    for (let i = 1; i < starts.length; i++) expect(starts[i]! - starts[i - 1]!).to.equal(22);
    const tight = validation(100);
    for (const [i, start] of tight.entries()) expect(start).to.equal(9000 + 10 * i);
    expect(validation(1)).to.deep.equal([9000]);
  });

  it("refuses a domain that is too short, with its name and the numbers", () => {
    const short = (length: number, validationFraction: number) => () =>
      textSource([{ name: "haiku", bytes: new Uint8Array(length) }], { context: 64, seed: 1, validationFraction });
    expect(short(640, 0.1)).to.throw(DataError, /domain haiku: 64 of its 640 bytes are for validation.*needs 65/);
    expect(short(100, 0.8)).to.throw(DataError, /domain haiku: 20 of its 100 bytes are for training.*needs 65/);
    expect(short(650, 0.1)().validation(0, 1)).to.have.length(65);
  });
});
