import { createHash } from "node:crypto";
import { expect } from "chai";
import { arithmeticText } from "../../src/data/arithmetic.ts";

describe("arithmeticText", () => {
  const text = arithmeticText();
  const lines = text.trimEnd().split("\n");

  it("holds true equations only, of all three kinds", () => {
    const counts = { "+": 0, "-": 0, "*": 0 };
    for (const line of lines) {
      const [, a, sign, b, result] = /^(\d+)([-+*])(\d+)=(-?\d+)$/.exec(line) ?? [];
      expect(a, line).to.be.a("string");
      const x = Number(a);
      const y = Number(b);
      const expected = { "+": x + y, "-": x - y, "*": x * y }[sign!];
      expect(Number(result), line).to.equal(expected);
      counts[sign as "+"]++;
    }
    for (const count of Object.values(counts)) expect(count / lines.length).to.be.within(0.32, 0.35);
  });

  it("fills about 400 kB and never changes", () => {
    expect(text.length).to.be.within(390_000, 400_000);
    expect(createHash("sha256").update(text).digest("hex")).to.equal(
      "30ff702f32b31ba674e37c02ae75932b1043765ce64459e24a6ece4d43b926a3",
    );
  });
});
