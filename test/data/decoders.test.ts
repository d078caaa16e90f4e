import { expect } from "chai";
import { messageValues, pronunciationLines } from "../../src/data/decoders.ts";

describe("messageValues", () => {
  it("takes the values in the order of the file", () => {
    expect(messageValues('{\n  "b": "zwei",\n  "a": "\\"eins\\" \\u00fc"\n}')).to.equal('zwei\n"eins" ü\n');
  });
});

describe("pronunciationLines", () => {
  const entries = Array.from({ length: 202 }, (_, i) => `  "word${i}": "W ER1 D ${i}",`);
  const module = `/** @type */\nexport const dictionary = {\n${entries.join("\n")}\n  "zz": "Z"\n}\n`;

  it("takes every 101st entry in twelve passes", () => {
    const lines = pronunciationLines(module).trimEnd().split("\n");
    expect(lines.slice(0, 5)).to.deep.equal([
      "word0 W ER1 D 0",
      "word101 W ER1 D 101",
      "zz Z",
      "word1 W ER1 D 1",
      "word102 W ER1 D 102",
    ]);
    expect(lines).to.have.length(3 + 11 * 2);
  });

  it("reads words that are written with quotes of their own", () => {
    expect(pronunciationLines(`  "'bout": "B AW1 T",\n  "a\\"b": "EY1"`)).to.equal(`'bout B AW1 T\na"b EY1\n`);
  });
});
