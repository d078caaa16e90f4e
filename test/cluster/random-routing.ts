/** Routing of a router that knows nothing: experts drawn by popularity, over all of them or group by group. */
import { Random } from "../../src/core/random.ts";

export const random = (seed = 7) => new Random(seed, 11, 13, 17);

/**
 * `perGroup` distinct experts from each of `groups` groups for every token; one group is plain top-k.
 * @param popularity [N]
 * @returns [T, groups · perGroup]
 */
export function randomChoices(
  tokens: number,
  popularity: readonly number[],
  groups: number,
  perGroup: number,
  source: Random,
): Int32Array {
  const groupSize = popularity.length / groups;
  const chosen = new Int32Array(tokens * groups * perGroup);
  for (let at = 0; at < chosen.length; ) {
    const first = (Math.floor(at / perGroup) % groups) * groupSize;
    const left = popularity.slice(first, first + groupSize);
    for (let pick = 0; pick < perGroup; pick++) {
      let draw = source.uniform() * left.reduce((sum, each) => sum + each, 0);
      let expert = 0;
      while (expert < groupSize - 1 && draw >= left[expert]!) draw -= left[expert++]!;
      left[expert] = 0;
      chosen[at++] = first + expert;
    }
  }
  return chosen;
}

export const uniformPopularity = (experts: number) => Array.from({ length: experts }, () => 1);

/** Zipf's law of exponent ½, the ranks dealt out over the experts by a fixed stride. */
export const skewedPopularity = (experts: number) =>
  Array.from({ length: experts }, (_, i) => 1 / Math.sqrt(1 + ((i * 27) % experts)));

/** [N] expert i on device ⌊i·D/N⌋ */
export const contiguous = (experts: number, devices: number) =>
  Int32Array.from({ length: experts }, (_, i) => Math.floor((i * devices) / experts));
