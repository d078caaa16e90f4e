/**
 * A capacity for every expert, applied to recorded tokens: those that come too late are dropped.
 * capacity = ⌈tokens · K / N · factor⌉ (GShard, arXiv:2006.16668), counted over one batch at a time.
 */
import { profileOfTokens, type RoutingProfile } from "./routing-profile.ts";

export interface Capped {
  readonly profile: RoutingProfile;
  /** Share of the assignments that were dropped. */
  readonly dropRate: number;
  /** Assignments that one expert takes of a batch at most. */
  readonly capacity: number;
}

/**
 * @param chosen [T, slots] experts of the tokens, by position; `none` marks an empty slot
 * @param batch tokens that share one capacity
 * @param factor infinity: nothing is dropped
 */
export function capped(
  title: string,
  chosen: ArrayLike<number>,
  slots: number,
  experts: number,
  none: number,
  batch: number,
  factor: number,
): Capped {
  const capacity = Math.ceil(((batch * slots) / experts) * factor);
  const kept = Int32Array.from(chosen);
  const load = new Int32Array(experts);
  let dropped = 0;
  let all = 0;
  for (let i = 0; i < kept.length; i++) {
    if (i % (batch * slots) === 0) load.fill(0);
    const expert = kept[i]!;
    if (expert === none) continue;
    all++;
    if (load[expert]! < capacity) load[expert] = load[expert]! + 1;
    else {
      kept[i] = none;
      dropped++;
    }
  }
  return {
    profile: profileOfTokens(title, kept, slots, experts, none),
    dropRate: all === 0 ? 0 : dropped / all,
    capacity,
  };
}

/** The profile of experts that compute their whole capacity, filled up with padding. */
export function padded(title: string, slots: number, experts: number, factor: number): RoutingProfile {
  return {
    title,
    topK: slots,
    picks: new Float64Array(experts).fill((slots / experts) * factor),
    hits: (_, units) => new Float64Array(units).fill(1),
  };
}
