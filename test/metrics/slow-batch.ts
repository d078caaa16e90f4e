/** Random routings and what metrics say of them the slow way, for tests. */
import fc from "fast-check";
import { type Assignment, NO_EXPERT } from "../../src/routing/assignment.ts";

export interface Batch {
  readonly experts: number;
  readonly devices: number;
  readonly deviceOf: Int32Array;
  readonly assignment: Assignment;
}

/** The experts of a token; none in an empty slot. */
export const expertsOf = ({ slots, experts }: Assignment, token: number): number[] =>
  Array.from(experts.subarray(token * slots, (token + 1) * slots)).filter((expert) => expert !== NO_EXPERT);

export const tokensOf = ({ tokens }: Assignment): number[] => Array.from({ length: tokens }, (_, t) => t);

/** An assignment of distinct experts to tokens, some slots empty. */
export const assignmentTo = (experts: number, tokens: number, slots: number): fc.Arbitrary<Assignment> =>
  fc
    .array(
      fc.record({
        chosen: fc.shuffledSubarray(
          Array.from({ length: experts }, (_, i) => i),
          { minLength: slots, maxLength: slots },
        ),
        empty: fc.array(fc.boolean(), { minLength: slots, maxLength: slots }),
        weights: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: slots, maxLength: slots }),
      }),
      { minLength: tokens, maxLength: tokens },
    )
    .map((rows) => ({
      tokens,
      slots,
      experts: Int32Array.from(rows.flatMap(({ chosen, empty }) => chosen.map((e, j) => (empty[j] ? NO_EXPERT : e)))),
      weights: Float64Array.from(rows.flatMap(({ weights, empty }) => weights.map((w, j) => (empty[j] ? 0 : w / 8)))),
    }));

export const batches: fc.Arbitrary<Batch> = fc
  .record({
    devices: fc.integer({ min: 1, max: 3 }),
    each: fc.integer({ min: 1, max: 3 }),
    tokens: fc.integer({ min: 1, max: 7 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .chain(({ devices, each, tokens, share }) => {
    const experts = devices * each;
    const slots = 1 + Math.floor(share * (experts - 1));
    return assignmentTo(experts, tokens, slots).map((assignment) => ({
      experts,
      devices,
      deviceOf: Int32Array.from({ length: experts }, (_, i) => Math.floor(i / each)),
      assignment,
    }));
  });

/** Equal, or both not a number. */
export const isNear = (a: number, b: number): boolean =>
  (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= 1e-12 * Math.max(1, Math.abs(a));
