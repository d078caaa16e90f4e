/** Batches of scores for every router with every value of its knobs, and what it makes of them. */
import fc from "fast-check";
import { randomStream } from "../../src/core/random.ts";
import { emptyAssignment, NO_EXPERT } from "../../src/routing/assignment.ts";
import type { RouteFacts } from "../../src/routing/route.ts";
import type { Router, RouterShape } from "../../src/routing/router.ts";
import { type RouterName, routers } from "../../src/routing/routers.ts";
import { choicesOf } from "./option-values.ts";

/** A router with values of its knobs. */
export interface Entry {
  readonly name: RouterName;
  readonly router: Router;
  readonly options: Record<string, unknown>;
}

export const entries: Entry[] = Object.entries<Router>(routers).flatMap(([name, router]) =>
  choicesOf(router.knobs).map((options) => ({ name: name as RouterName, router, options })),
);

/** Sizes of all kinds; those that a router refuses are left out. */
export const anyShape = fc
  .record({ groups: fc.integer({ min: 1, max: 5 }), size: fc.integer({ min: 1, max: 7 }), share: fc.nat(1000) })
  .map(({ groups, size, share }) => {
    const experts = groups * size;
    const multiple = groups * (1 + (share % size));
    return { experts, topK: share % 3 === 0 ? 1 + (share % experts) : multiple, groups };
  });

/** Sizes for routers that are defined for few numbers of experts a token. */
export const shapesOf = ({
  router,
  options,
}: Entry): fc.Arbitrary<{ shape: RouterShape; options: Record<string, unknown> }> => {
  const few = fc.record({
    groups: fc.constantFrom(1, 2),
    size: fc.integer({ min: 2, max: 6 }),
    topK: fc.constantFrom(1, 2),
  });
  const fewExperts = few.map(({ groups, size, topK }) => ({ experts: groups * size, topK, groups }));
  return fc
    .oneof(anyShape, fewExperts)
    .map((shape) => ({
      shape,
      options: "limit" in options ? { ...options, limit: Math.ceil(shape.groups / 2) } : options,
    }))
    .filter((drawn) => router.contradiction(drawn.shape, drawn.options as never) === undefined);
};

/** Few different values, so that ties are common. */
export const tied = (length: number) =>
  fc.array(fc.integer({ min: 0, max: 3 }), { minLength: length, maxLength: length }).map((v) => Float64Array.from(v));

/** 0 … length - 1 in any order. */
export const permutation = (length: number) =>
  fc.shuffledSubarray(
    Array.from({ length }, (_, i) => i),
    { minLength: length, maxLength: length },
  );

/**
 * All different, and so are sums of them, by which groups are compared: the 0.3rd powers of the numbers below 2^10 are
 * linearly independent over the rational numbers (Besicovitch 1940). Square roots are not: 1 + 4 is 2 + 3.
 */
export const distinct = (length: number) =>
  permutation(length).map((values) => Float64Array.from(values, (v) => (v + 1) ** 0.3));

export const TOKENS = 6;

export const batchOf = (entry: Entry, scores: (length: number) => fc.Arbitrary<Float64Array>) =>
  shapesOf(entry).chain(({ shape, options }) =>
    fc.record({
      shape: fc.constant(shape),
      options: fc.constant(options),
      scores: scores(TOKENS * shape.experts),
      ids: fc.array(fc.nat(20), { minLength: TOKENS, maxLength: TOKENS }),
    }),
  );

export interface Batch {
  readonly shape: RouterShape;
  readonly options: Record<string, unknown>;
  readonly scores: Float64Array;
  readonly ids?: readonly number[];
}

/** The experts of each token, empty slots left out. */
export function select(
  { router }: Entry,
  { shape, options, scores, ids = [] }: Batch,
  facts: RouteFacts & { seed?: number } = {},
) {
  const { seed = 1, ...more } = facts;
  const choice = emptyAssignment(scores.length / shape.experts, router.slots?.(shape) ?? shape.topK);
  const input = { shape, options, scores, first: 0, last: choice.tokens, tokenIds: ids, domains: ids };
  router.select({ ...input, random: randomStream(seed, "select"), ...more } as never, choice);
  return rowsOf(choice);
}

export const rowsOf = ({ tokens, slots, experts }: { tokens: number; slots: number; experts: Int32Array }) =>
  Array.from({ length: tokens }, (_, t) =>
    Array.from(experts.subarray(t * slots, (t + 1) * slots)).filter((expert) => expert !== NO_EXPERT),
  );

export const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
export const sorted = (row: readonly number[]) => [...row].sort((a, b) => a - b);

/** The obvious way: sort, equal scores by lower id. */
export function bestOf(scores: ArrayLike<number>, candidates: number[], count: number): number[] {
  return [...candidates].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, count);
}
