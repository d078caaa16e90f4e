import { expect } from "chai";
import { loadMetrics } from "../../src/metrics/metrics.ts";
import { columnDocumentation, csvFiles } from "../../src/output/column-documentation.ts";

/** Units of metrics come from their own table; those of everything else are in the column's name. */
const unitless = new Set(["1", "text", "index", ...Object.values(loadMetrics).map((metric) => metric.unit)]);

describe("output/column-documentation", () => {
  it("has a description for every column and the unit in its name", () => {
    for (const [file, { columns }] of Object.entries(csvFiles)) {
      for (const [name, { unit, description }] of Object.entries(columns)) {
        expect(description.length, `${file} ${name}`).to.be.above(10);
        if (!unitless.has(unit)) expect(name, file).to.contain(unit.replaceAll(" ", "_"));
      }
    }
  });

  it("calls every simulated column simulated, in its name and its description", () => {
    for (const { columns } of Object.values(csvFiles)) {
      for (const [name, { unit, description }] of Object.entries(columns)) {
        const simulated = unit === "seconds";
        expect(name.startsWith("simulated_"), name).to.equal(simulated);
        expect(description.startsWith("SIMULATED"), name).to.equal(simulated);
      }
    }
  });

  it("renders a row of three cells for each column", () => {
    const text = columnDocumentation();
    for (const [file, { columns }] of Object.entries(csvFiles)) {
      const start = text.indexOf(`### ${file}\n`);
      const section = text.slice(start, text.indexOf("###", start + 3) >>> 0);
      const rows = section.split("\n").filter((line) => line.startsWith("| `"));
      expect(rows.map((row) => row.split("`")[1])).to.deep.equal(Object.keys(columns));
      for (const row of rows) expect(row.split(/(?<!\\)\|/), row).to.have.length(5);
    }
  });

  it("gives every load metric a column for devices, and for experts but for the imbalance score", () => {
    const columns = Object.keys(csvFiles["layers.csv"]!.columns);
    for (const { column } of Object.values(loadMetrics)) {
      expect(columns).to.include(`device_${column}`);
      expect(columns.includes(`expert_${column}`)).to.equal(column !== "imbalance_score");
    }
  });
});
