/**
 * The assignment of tokens to experts: what a router chooses, an engine computes by, metrics measure and the cluster
 * is loaded with. Its arrays may be views of an engine's memory.
 */
import type { Floats } from "../core/floats.ts";

/** Stands in a slot for which there is no expert. Whoever walks over the slots passes it by. */
export const NO_EXPERT = -1;

/** Which experts the tokens of a batch go to. */
export interface Choice {
  /** T */
  readonly tokens: number;
  /** Places for experts that a token has: K where every token gets K. */
  readonly slots: number;
  /** [T, slots] expert ids, or NO_EXPERT */
  readonly experts: Int32Array;
  /** [T, slots] experts that a router considered but did not take, or NO_EXPERT; of routers that refuse some */
  readonly refused?: Int32Array | undefined;
}

/** A choice with the weights of its experts. */
export interface Assignment extends Choice {
  /** [T, slots] gate weights, 0 in an empty slot */
  readonly weights: Floats;
}

/** Some of the tokens of a batch: [first, last). */
export interface TokenRange {
  readonly first: number;
  readonly last: number;
}

/** All slots empty; weights in doubles. @param refuses whether the router refuses experts */
export function emptyAssignment(tokens: number, slots: number, refuses = false): Assignment {
  const empty = () => new Int32Array(tokens * slots).fill(NO_EXPERT);
  return {
    tokens,
    slots,
    experts: empty(),
    refused: refuses ? empty() : undefined,
    weights: new Float64Array(tokens * slots),
  };
}

export function allTokens({ tokens }: Choice): TokenRange {
  return { first: 0, last: tokens };
}

/** Assignments per expert. @param load [N], added to */
export function countLoad(
  choice: Choice,
  load: Floats | Int32Array,
  { first, last }: TokenRange = allTokens(choice),
): void {
  const { slots, experts } = choice;
  for (let j = first * slots; j < last * slots; j++) {
    const expert = experts[j]!;
    if (expert !== NO_EXPERT) load[expert] = load[expert]! + 1;
  }
}
