import { expect } from "chai";
import fc from "fast-check";
import type { CsvRow } from "../../src/output/csv.ts";
import {
  type Cells,
  deviceBlocks,
  pooledCells,
  type Recorded,
  recordedLayers,
} from "../../src/output/figures/expert-cells.ts";

/** Rows of one variant and layer; `load(step, expert)` as a run would record it. */
function rowsOf(steps: number[], deviceOf: number[], load: (step: number, expert: number) => number): CsvRow[] {
  return steps.flatMap((step) =>
    deviceOf.map((device, expert) => ({
      variant: "a",
      layer: "0",
      step: `${step}`,
      expert: `${expert}`,
      device: `${device}`,
      assignments: `${load(step, expert)}`,
    })),
  );
}

const only = (rows: CsvRow[]): Recorded => recordedLayers(rows).get("a")![0]!;

/** [place, load] of the cells that end at a step. */
const endingAt = ({ cells }: Cells, to: number) =>
  cells.filter((cell) => Math.floor(cell.to) === to).map((cell) => [cell.place, cell.load]);

describe("output/figures/expert-cells", () => {
  it("orders experts by the device that holds them, and divides by the mean expert's load", () => {
    const loads: Record<number, number[]> = { 10: [10, 20, 30, 40], 20: [40, 30, 20, 10] };
    const panel = only(rowsOf([10, 20], [0, 1, 0, 1], (step, expert) => loads[step]![expert]!));
    const drawn = pooledCells(panel, 1000, 100);
    // experts 0, 2 on device 0, then 1, 3 on device 1; the mean is 25; cells reach 0.15 under the next ones
    expect(endingAt(drawn, 11)).to.deep.equal([
      [0, 0.4],
      [1, 1.2],
      [2, 0.8],
      [3, 1.6],
    ]);
    expect(endingAt(drawn, 20)).to.deep.equal([
      [0, 1.6],
      [1, 0.8],
      [2, 1.2],
      [3, 0.4],
    ]);
    expect(deviceBlocks(panel)).to.deep.equal([
      { device: 0, start: 0, end: 2 },
      { device: 1, start: 2, end: 4 },
    ]);
    expect(drawn).to.include({ pooledSteps: 1, pooledExperts: 1, withinDevices: true });
  });

  it("pools neighbours of one device: mean load over mean load", () => {
    const panel = only(rowsOf([1], [0, 0, 0, 1, 1, 1], (_, expert) => expert)); // mean 2.5
    const drawn = pooledCells(panel, 4, 100);
    expect(drawn).to.include({ pooledExperts: 2, withinDevices: true });
    expect(endingAt(drawn, 1)).to.deep.equal([
      [0, 0.2], // experts 0 and 1
      [2, 0.8], // expert 2 stays by itself: 3 is another device's
      [3, 1.4],
      [5, 2],
    ]);
  });

  it("pools across devices only where there are more devices than rows", () => {
    const panel = only(rowsOf([1], [0, 1, 2, 3], (_, expert) => expert));
    const drawn = pooledCells(panel, 1000, 2);
    expect(drawn).to.include({ pooledExperts: 2, withinDevices: false });
    expect(endingAt(drawn, 1)).to.deep.equal([
      [0, 0.3333],
      [2, 1.667],
    ]);
  });

  it("draws the means that a slow twin finds, covers every expert and step once, and keeps to its budget", () => {
    const setting = fc.record({
      perDevice: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }),
      steps: fc.integer({ min: 1, max: 40 }),
      most: fc.integer({ min: 8, max: 300 }),
      mostRows: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(setting, ({ perDevice, steps, most, mostRows }) => {
        const deviceOf = perDevice.flatMap((experts, device) => Array.from({ length: experts }, () => device));
        const all = Array.from({ length: steps }, (_, i) => 10 * (i + 1));
        const load = (step: number, expert: number) => ((step * 7 + expert * 13) % 17) + 1;
        const { cells, withinDevices } = pooledCells(only(rowsOf(all, deviceOf, load)), most, mostRows);
        expect(cells.length).to.be.at.most(Math.max(most, 8));
        const places = [...new Set(cells.map((cell) => cell.place))];
        expect(places.length).to.be.at.most(mostRows);
        if (withinDevices) {
          perDevice.reduce((start, experts) => {
            expect(places).to.include(start); // every device begins a row
            return start + experts;
          }, 0);
        }
        let covered = 0;
        for (const cell of cells) {
          const next = places[places.indexOf(cell.place) + 1] ?? deviceOf.length;
          const until = cells.find((other) => other.from > cell.from)?.from ?? all.at(-1)!;
          const within = all.filter((step) => step > cell.from && step <= until);
          const relative = within.flatMap((step) => {
            const mean = deviceOf.reduce((sum, _, expert) => sum + load(step, expert), 0) / deviceOf.length;
            return deviceOf.slice(cell.place, next).map((_, i) => load(step, cell.place + i) / mean);
          });
          covered += relative.length;
          const mean = relative.reduce((sum, each) => sum + each, 0) / relative.length;
          expect(cell.load).to.be.closeTo(mean, 6e-4 * mean);
        }
        expect(covered).to.equal(deviceOf.length * steps);
      }),
    );
  });

  it("looks at each row a fixed number of times, however many there are", () => {
    const readsARow = (experts: number, layers: number) => {
      let reads = 0;
      const counted = (row: CsvRow) =>
        new Proxy(row, {
          get(cells, column) {
            reads++;
            return Reflect.get(cells, column) as unknown;
          },
        });
      const deviceOf = Array.from({ length: experts }, (_, expert) => expert % 8);
      const rows = Array.from({ length: layers }, (_, layer) =>
        rowsOf([1, 2, 3], deviceOf, (_, expert) => expert % 5).map((row) => counted({ ...row, layer: `${layer}` })),
      ).flat();
      for (const panel of recordedLayers(rows).get("a")!) pooledCells(panel, 400, 100);
      return reads / rows.length;
    };
    const few = readsARow(16, 1);
    expect(few).to.be.within(1, 12);
    expect(readsARow(2048, 4)).to.equal(few);
  });
});
