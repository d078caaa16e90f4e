import { readFileSync } from "node:fs";
import { expect } from "chai";
import { validationMarkdown } from "../../src/output/validation-report.ts";
import { checkRow, within } from "../../src/validation/row.ts";
import { validate, validationRows } from "../../src/validation/validation.ts";

describe("moge validate", function () {
  this.timeout(300_000); // it searches layouts
  const summary = validate();

  it("has every exact row exact and every calibration row inside its band", () => {
    expect(summary.failed.map(({ title, error }) => `${title} ${error}`)).to.deep.equal([]);
  });

  it("gives every row a source, and every miss of a held-out row a reason", () => {
    for (const row of summary.rows) {
      expect(row.source, row.title).to.have.length.above(5);
      if (row.class === "V" && !row.within) expect(row.note, row.title).to.have.length.above(20);
    }
  });

  it("hides no held-out row", () => {
    expect(summary.heldOut).to.equal(validationRows.filter((row) => row.class === "V").length);
    expect(summary.heldOut).to.be.at.least(45);
  });

  it("calls a row within its tolerance by the published figure", () => {
    const row = {
      target: 0,
      class: "V",
      title: "",
      unit: "",
      published: 100,
      tolerance: within(0.1),
      source: "",
    } as const;
    expect(checkRow({ ...row, predict: () => 110 }).within).to.equal(true);
    expect(checkRow({ ...row, predict: () => 111 }).within).to.equal(false);
    expect(checkRow({ ...row, predict: () => 89 }).error).to.be.closeTo(-0.11, 1e-12);
  });

  it("has its table in the README (npm run docs)", () => {
    expect(readFileSync("README.md", "utf8")).to.include(validationMarkdown(summary));
  });
});
