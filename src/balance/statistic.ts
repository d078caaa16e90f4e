/**
 * What balancing losses are made of. Every loss is a function of sums over tokens; a statistic is one such sum and
 * knows its own derivative by what a token's router computed. So a loss needs no tensors, sums can be kept for each
 * sequence and added up over whatever a loss balances together, and threads cannot change the result.
 */
import type { Floats } from "../core/floats.ts";
import type { TokenRange } from "../routing/assignment.ts";
import type { Routing, TokenGradient } from "../routing/route.ts";
import type { RouterShape } from "../routing/router.ts";

/** The sizes of a router, and the devices that hold its experts. */
export interface BalanceShape extends RouterShape {
  /** D, devices of the expert-parallel group; each holds N/D neighbouring experts. */
  readonly devices: number;
}

export interface Statistic {
  readonly title: string;
  readonly formula: string;
  /** How many numbers it is. */
  width(shape: BalanceShape): number;
  /** Adds the tokens of a range. @param sums [width] */
  add(routing: Routing, range: TokenRange, sums: Floats, shape: BalanceShape): void;
  /** Adds to a token's gradient, given that by the sums; absent: counts, which are constants to the gradient. */
  addGradient?(routing: Routing, token: number, bySums: Floats, gradient: TokenGradient): void;
}
