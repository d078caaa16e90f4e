import { expect } from "chai";
import fc from "fast-check";
import { linearAssignment } from "../../src/routing/base-assignment.ts";
import { newRouting, route } from "../../src/routing/route.ts";
import { normalLogits } from "./small-batch.ts";

const total = (values: ArrayLike<number>, columns: number, columnOf: ArrayLike<number>) =>
  Array.from(columnOf).reduce((all, column, row) => all + values[row * columns + column]!, 0);

/** The largest total of all assignments within the capacity, by trying every one. */
function bruteForce(values: Float64Array, columns: number, capacity: number): number {
  const rows = values.length / columns;
  const load = new Array<number>(columns).fill(0);
  const best = (row: number): number => {
    if (row === rows) return 0;
    let most = Number.NEGATIVE_INFINITY;
    for (let column = 0; column < columns; column++) {
      if (load[column]! >= capacity) continue;
      load[column]!++;
      most = Math.max(most, values[row * columns + column]! + best(row + 1));
      load[column]!--;
    }
    return most;
  };
  return best(0);
}

/**
 * The Hungarian algorithm by potentials, on a square matrix in which every column stands `capacity` times: another
 * algorithm than the one under test. (Kuhn 1955; in the form of Jonker and Volgenant's shortest augmenting paths.)
 */
function hungarian(values: Float64Array, columns: number, capacity: number): number {
  const rows = values.length / columns;
  const wide = columns * capacity;
  const cost = (row: number, at: number) => -values[row * columns + (at % columns)]!;
  const [u, v] = [new Float64Array(rows + 1), new Float64Array(wide + 1)];
  const matched = new Int32Array(wide + 1); // row of each column, from 1
  for (let row = 1; row <= rows; row++) {
    const least = new Float64Array(wide + 1).fill(Number.POSITIVE_INFINITY);
    const way = new Int32Array(wide + 1);
    const used = new Uint8Array(wide + 1);
    matched[0] = row;
    let at = 0;
    do {
      used[at] = 1;
      let next = 0;
      let delta = Number.POSITIVE_INFINITY;
      for (let j = 1; j <= wide; j++) {
        if (used[j]) continue;
        const reduced = cost(matched[at]! - 1, j - 1) - u[matched[at]!]! - v[j]!;
        if (reduced < least[j]!) [least[j], way[j]] = [reduced, at];
        if (least[j]! < delta) [delta, next] = [least[j]!, j];
      }
      for (let j = 0; j <= wide; j++) {
        if (used[j]) {
          u[matched[j]!] = u[matched[j]!]! + delta;
          v[j] = v[j]! - delta;
        } else least[j] = least[j]! - delta;
      }
      at = next;
    } while (matched[at] !== 0);
    for (; at !== 0; at = way[at]!) matched[at] = matched[way[at]!]!;
  }
  let sum = 0;
  for (let j = 1; j <= wide; j++) if (matched[j] !== 0) sum -= cost(matched[j]! - 1, j - 1);
  return sum;
}

function expectWithin(columnOf: Int32Array, columns: number, capacity: number): void {
  const load = new Array<number>(columns).fill(0);
  for (const column of columnOf) load[column]!++;
  for (const each of load) expect(each).to.be.at.most(capacity);
}

describe("linearAssignment", () => {
  it("finds the largest total that trying everything finds, ties and −∞ included", () => {
    const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ min: -5, max: 5, noNaN: true }));
    const cases = fc
      .record({ columns: fc.integer({ min: 1, max: 4 }), capacity: fc.integer({ min: 1, max: 3 }), missing: fc.nat(2) })
      .chain(({ columns, capacity, missing }) => {
        const rows = Math.min(7, Math.max(1, columns * capacity - missing));
        const length = rows * columns;
        return fc.record({
          columns: fc.constant(columns),
          capacity: fc.constant(capacity),
          values: fc.array(value, { minLength: length, maxLength: length }).map((all) => Float64Array.from(all)),
        });
      });
    fc.assert(
      fc.property(cases, ({ columns, capacity, values }) => {
        const columnOf = linearAssignment(values, columns, capacity);
        expectWithin(columnOf, columns, capacity);
        expect(total(values, columns, columnOf)).to.be.closeTo(bruteForce(values, columns, capacity), 1e-9);
      }),
      { numRuns: 300 },
    );
  });

  for (const [rows, columns, capacity] of [
    [60, 6, 10],
    [61, 8, 8],
    [96, 16, 6],
    [120, 12, 11],
  ] as const) {
    it(`finds what the Hungarian algorithm finds: ${rows} tokens, ${columns} experts of ${capacity}`, () => {
      for (let seed = 0; seed < 5; seed++) {
        const values = normalLogits(rows, columns, seed);
        const columnOf = linearAssignment(values, columns, capacity);
        expectWithin(columnOf, columns, capacity);
        expect(total(values, columns, columnOf)).to.be.closeTo(hungarian(values, columns, capacity), 1e-9);
      }
    });
  }

  it("avoids −∞ where it can, and comes to an end where all values are equal", () => {
    const no = Number.NEGATIVE_INFINITY;
    expect(Array.from(linearAssignment(Float64Array.from([1, no, 1, 0, no, 1]), 2, 2))).to.deep.equal([0, 0, 1]);
    expectWithin(linearAssignment(new Float64Array(64 * 8), 8, 8), 8, 8);
    expectWithin(linearAssignment(new Float64Array(64 * 8).fill(no), 8, 8), 8, 8);
  });
});

describe("base-assignment", () => {
  const shape = { experts: 8, topK: 1, groups: 1 };
  const settings = { selection: "base-assignment", scoreFunction: "sigmoid", normalisation: "none", scale: 1 } as const;

  it("gives every expert the same load in training, and every token its best without", () => {
    const logits = normalLogits(64, 8).map((x, i) => x + (i % 8 === 0 ? 3 : 0));
    const load = (training: boolean) => {
      const routing = newRouting(logits, shape, settings);
      route(routing, { training });
      const count = new Array<number>(8).fill(0);
      for (const expert of routing.assignment.experts) count[expert]!++;
      return count;
    };
    expect(load(true)).to.deep.equal(new Array<number>(8).fill(8));
    expect(load(false)[0]).to.be.above(40);
  });
});
