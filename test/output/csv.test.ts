import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import fc from "fast-check";
import { CsvFile, readCsv } from "../../src/output/csv.ts";
import { cellText, csvText } from "../../src/output/csv-text.ts";
import { scratchDirectory } from "./scratch.ts";

describe("output/csv", () => {
  const scratch = scratchDirectory();

  it("writes numbers in one fixed way", () => {
    const cases: [number | string | undefined, string][] = [
      [undefined, ""],
      ["moge", "moge"],
      [0, "0"],
      [-0, "0"],
      [4_194_304_123, "4194304123"],
      [0.1 + 0.2, "0.3"],
      [1 / 3, "0.333333333"],
      [2 / 3, "0.666666667"],
      [1.5e-7, "1.5e-7"],
      [123456.789012, "123456.789"],
      [2.5, "2.5"],
    ];
    for (const [cell, text] of cases) expect(cellText(cell)).to.equal(text);
  });

  it("loses less than one part in 10⁸ of any number", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true, min: 1e-300 }), (value) => {
        expect(Math.abs(Number(cellText(value)) - value)).to.be.at.most(value * 5.001e-9);
      }),
    );
  });

  it("reads back what it wrote, names with commas, quotes and line feeds included", () => {
    const path = join(scratch(), "a.csv");
    const names = ["german, formal", 'say "so"', "two\nlines", ""];
    const file = new CsvFile(path, ["name", "value"]);
    file.addRows(names.map((name, i) => [name, i]));
    file.close();
    expect(readCsv(path)).to.deep.equal(names.map((name, i) => ({ name, value: String(i) })));
  });

  it("goes on from a position as if nothing had followed it", () => {
    const directory = scratch();
    const rows = [
      ["a", 1],
      ["é", 2],
      ["c", 3],
    ] as const;
    const whole = new CsvFile(join(directory, "whole.csv"), ["name", "value"]);
    for (const row of rows) whole.addRows([row]);
    whole.close();

    const path = join(directory, "broken.csv");
    const first = new CsvFile(path, ["name", "value"]);
    first.addRows([rows[0], rows[1]]);
    const position = first.bytes();
    first.addRows([["rows after the checkpoint, and longer than the rest", 99]]);
    first.close();
    const second = new CsvFile(path, ["name", "value"], position);
    second.addRows([rows[2]]);
    expect(second.bytes()).to.equal(readFileSync(path).length);
    second.close();
    expect(readFileSync(path, "utf8")).to.equal(readFileSync(join(directory, "whole.csv"), "utf8"));
    expect(readFileSync(path, "utf8")).to.equal(`name,value\n${csvText(rows)}`);
  });

  it("refuses a file shorter than its checkpoint", () => {
    const path = join(scratch(), "short.csv");
    writeFileSync(path, "name\n");
    expect(() => new CsvFile(path, ["name"], 6)).to.throw(/short\.csv: has 5 bytes, its checkpoint says 6/);
  });
});
