/**
 * BASE layers: the assignment of tokens to experts with the largest total score in which every expert gets the same
 * number of tokens. Exact.
 *
 * Tokens are added one at a time along shortest augmenting paths, which keeps the assignment optimal after each
 * (successive shortest paths: Ahuja, Magnanti and Orlin 1993, Network Flows, section 9.7). The paths lead over
 * experts, not tokens: moving a token from e to f costs what the cheapest of e's tokens loses. A batch of T tokens
 * takes O(T · (r·N² + p·T)) operations, where r, the rounds of a shortest-path search, and p, the experts on a path,
 * are small in practice: about 50 ms for 1,024 tokens and 64 experts.
 */
import type { Floats } from "../core/floats.ts";
import { numeral } from "./numerals.ts";
import { router, type SelectionInput, selectTopK, takesExactly } from "./router.ts";

export const baseAssignment = router({
  title: "BASE, the best assignment with equal loads",
  source: "Lewis et al. 2021, BASE Layers, arXiv:2103.16716, section 3.1; solved exactly",
  summary:
    "all experts get ⌈T/N⌉ tokens at most, whatever the router wants; without training each token goes to its best",
  promises: { takesK: true, perToken: false, byScore: false, equivariant: false },
  contradiction: (shape) => takesExactly(1, shape),
  select(input, choice) {
    if (input.training === false) selectTopK({ ...input, bias: undefined }, choice);
    else choice.experts.set(bestBalanced(input), input.first);
  },
  explain({ shape: { experts }, logits, scores, first, last, training = true }, token, choice) {
    const row = (logits ?? scores).subarray(token * experts, (token + 1) * experts);
    let best = 0;
    for (let expert = 1; expert < experts; expert++) if (row[expert]! > row[best]!) best = expert;
    if (!training) return ["without training each token goes to its best expert"];
    const given = choice.experts[token * choice.slots]!;
    const price = given === best ? "its best" : `${numeral(row[best]! - row[given]!)} below its best, expert ${best}`;
    return [
      `the largest sum over all tokens with at most ⌈T/N⌉ = ⌈${last - first}/${experts}⌉ = ${Math.ceil((last - first) / experts)} for each expert`,
      `this token gets expert ${given} with ${numeral(row[given]!)}, ${price}`,
    ];
  },
});

/** [last − first] the expert of each token. */
function bestBalanced({ shape, logits, scores, first, last }: SelectionInput): Int32Array {
  const { experts } = shape;
  const values = (logits ?? scores).subarray(first * experts, last * experts);
  return linearAssignment(values, experts, Math.ceil((last - first) / experts));
}

/** What a value that is not finite counts as; far from any logit, and sums of it stay exact enough to compare. */
const FAR = 1e12;

/**
 * The assignment of rows to columns with the largest sum of values, at most `capacity` rows a column.
 * @param values [rows, columns] −∞ is allowed @returns [rows] the column of each. Throws nothing while rows ≤ columns · capacity
 */
export function linearAssignment(values: Floats, columns: number, capacity: number): Int32Array {
  const rows = values.length / columns;
  const columnOf = new Int32Array(rows).fill(-1);
  const members: number[][] = Array.from({ length: columns }, () => []);
  const value = (row: number, column: number) => Math.max(-FAR, Math.min(FAR, values[row * columns + column]!));
  const moves = new Moves(columns, members, value);
  const distance = new Float64Array(columns);
  const previous = new Int32Array(columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) distance[column] = -value(row, column);
    moves.shortestPaths(distance, previous);
    let end = -1;
    for (let column = 0; column < columns; column++) {
      const isFree = members[column]!.length < capacity;
      if (isFree && (end === -1 || distance[column]! < distance[end]!)) end = column;
    }
    const path = [end];
    while (previous[path[0]!] !== -1) path.unshift(previous[path[0]!]!);
    let entering = row; // each column on the path takes a row and hands its cheapest one on
    path.forEach((column, i) => {
      const next = path[i + 1];
      const leaving = next === undefined ? -1 : moves.cheapest(column, next);
      if (leaving !== -1) members[column]!.splice(members[column]!.indexOf(leaving), 1);
      members[column]!.push(entering);
      columnOf[entering] = column;
      entering = leaving;
    });
    for (const column of path) moves.update(column);
  }
  return columnOf;
}

/** What it costs to move a row from one column to another: the least that any of its rows loses. */
class Moves {
  private readonly columns: number;
  private readonly members: readonly number[][];
  private readonly value: (row: number, column: number) => number;
  /** [from, to] */
  private readonly cost: Float64Array;
  private readonly row: Int32Array;

  constructor(columns: number, members: readonly number[][], value: (row: number, column: number) => number) {
    this.columns = columns;
    this.members = members;
    this.value = value;
    this.cost = new Float64Array(columns * columns).fill(Number.POSITIVE_INFINITY);
    this.row = new Int32Array(columns * columns).fill(-1);
  }

  cheapest(from: number, to: number): number {
    return this.row[from * this.columns + to]!;
  }

  /** After the members of a column have changed. */
  update(from: number): void {
    const { columns, cost, row, value } = this;
    for (let to = 0; to < columns; to++) {
      let least = Number.POSITIVE_INFINITY;
      let which = -1;
      for (const member of this.members[from]!) {
        const loss = value(member, from) - value(member, to);
        if (loss < least || (loss === least && member < which)) [least, which] = [loss, member];
      }
      cost[from * columns + to] = least;
      row[from * columns + to] = which;
    }
  }

  /** Bellman and Ford: there are gains on the way, but no cycle gains. @param distance [columns] lowered @param previous [columns] written */
  shortestPaths(distance: Float64Array, previous: Int32Array): void {
    const { columns, cost } = this;
    previous.fill(-1);
    for (let round = 0, changed = true; changed && round < columns; round++) {
      changed = false;
      for (let from = 0; from < columns; from++) {
        for (let to = 0; to < columns; to++) {
          const through = distance[from]! + cost[from * columns + to]!;
          if (through < distance[to]! - ROUNDING && from !== to) {
            distance[to] = through;
            previous[to] = from;
            changed = true;
          }
        }
      }
    }
  }
}

/** Gains below it are the rounding of sums, and following them could go in circles. */
const ROUNDING = 1e-9;
