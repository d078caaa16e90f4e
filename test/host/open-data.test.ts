import { expect } from "chai";
import type { RunConfig } from "../../src/config/schema.ts";
import { runSchema } from "../../src/config/schema.ts";
import { topicOf } from "../../src/data/synthetic.ts";
import { openData } from "../../src/host/open-data.ts";

const config = (data: unknown): RunConfig => runSchema.parse({ name: "test", model: { context: 20 }, seed: 4, data });

describe("openData", () => {
  it("opens text with the context, seed and domains of the config", () => {
    const source = openData(config({ kind: "text", domains: ["chinese", "arithmetic"] }), ".");
    expect(source.domains).to.deep.equal(["chinese", "arithmetic"]);
    const { tokens, domain } = source.batch(0, 6);
    expect(tokens).to.have.length(6 * 21);
    domain.forEach((index, sequence) => {
      const text = new TextDecoder().decode(tokens.slice(21 * sequence, 21 * sequence + 21));
      expect(/^[-+*=\d\n]+$/.test(text)).to.equal(index === 1);
    });
    const other = openData({ ...config({ kind: "text", domains: ["chinese", "arithmetic"] }), seed: 5 }, ".");
    expect(other.batch(0, 6).tokens).not.to.deep.equal(tokens);
  });

  it("opens synthetic topics", () => {
    const source = openData(config({ kind: "synthetic", topics: 4, skew: 1, noise: 0.1 }), ".");
    const { tokens, domain } = source.batch(9, 5);
    for (const [i, byte] of tokens.entries()) expect(topicOf(byte, 4)).to.equal(domain[Math.floor(i / 21)]);
    expect(source.domains).to.have.length(4);
  });
});
