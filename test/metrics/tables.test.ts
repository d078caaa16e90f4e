import { expect } from "chai";
import { assignmentMetrics } from "../../src/metrics/assignment-metrics.ts";
import { comparisonMetrics } from "../../src/metrics/comparison-metrics.ts";
import { domainMetrics } from "../../src/metrics/domain-metrics.ts";
import { dropMetrics } from "../../src/metrics/drop-metrics.ts";
import { loadSeriesMetrics } from "../../src/metrics/load-series-metrics.ts";
import type { MetricDescription } from "../../src/metrics/metric.ts";
import { loadMetrics } from "../../src/metrics/metrics.ts";
import { scoreMetrics } from "../../src/metrics/score-metrics.ts";
import { metricTables } from "../../src/metrics/tables.ts";

const all = metricTables.flatMap(({ metrics }) => Object.entries<MetricDescription>(metrics));

describe("the tables of metrics", () => {
  it("are all in the list of tables", () => {
    const tables = [
      loadMetrics,
      loadSeriesMetrics,
      assignmentMetrics,
      dropMetrics,
      scoreMetrics,
      domainMetrics,
      comparisonMetrics,
    ];
    expect(metricTables.map(({ metrics }) => metrics)).to.have.members(tables);
  });

  it("give every metric a name and a CSV column of its own, in lower kebab and snake case", () => {
    for (const texts of [all.map(([name]) => name), all.map(([, { column }]) => column)]) {
      expect(new Set(texts).size).to.equal(texts.length);
      for (const text of texts) expect(text).to.match(/^[a-z0-9]+([_-][a-z0-9]+)*$/);
    }
  });

  for (const [name, { title, formula, source, unit }] of all) {
    it(`say what ${name} is: in a formula, by a source, without a full stop`, () => {
      for (const text of [title, formula, source, unit]) {
        expect(text).to.not.equal("");
        expect(text).to.not.match(/\.$|\s{2}/);
      }
      expect(formula).to.match(/[/=|]|share of|exp|mean/);
    });
  }
});
