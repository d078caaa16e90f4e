/** What rules between knobs find: values that are fine by themselves and do not go together. */

/** What is wrong, and the keys it lies between; the first is the one to name. */
export interface Contradiction {
  readonly keys: readonly [string, ...string[]];
  readonly message: string;
}

/** Nothing, or that one number does not divide another. */
export function divides(
  keys: Contradiction["keys"],
  whole: number,
  what: string,
  parts: number,
  of: string,
): Contradiction[] {
  return whole % parts === 0 ? [] : [{ keys, message: `${whole} ${what} do not divide evenly by ${parts} ${of}` }];
}
