import { expect } from "chai";
import { csvFormatRows, csvParseRows } from "d3-dsv";
import fc from "fast-check";
import { csvRows } from "../../src/web/results/csv.ts";

const cell = fc.oneof(fc.string(), fc.constantFrom("", '"', ",", "\n", "\r\n", 'a "b", c', "1.5", "词元"));

describe("the page's CSV", () => {
  it("is read back as another library wrote it, quotes, commas and line breaks in cells included", () => {
    const table = fc.array(fc.array(cell, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(table, fc.constantFrom("", "\n", "\r\n"), (rows, end) => {
        const text = csvFormatRows(rows);
        const isLast = rows.at(-1)!.join("") === "" && rows.at(-1)!.length === 1; // an empty line, or none
        expect(csvRows(isLast ? `${text}\n` : text + end)).to.deep.equal(rows);
      }),
    );
  });

  it("is read as another library reads it, whatever the text, where quotes do not matter", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "1", ",", "\n", "\r\n", " ", "。") }), (text) => {
        expect(csvRows(text)).to.deep.equal(csvParseRows(text));
      }),
    );
  });

  it("ends, and loses no text, where quotes are out of place", () => {
    expect(csvRows('a"b,"c\n"d"e')).to.deep.equal([['a"b', '"c'], ['"d"e']]);
  });
});
