/** The choice that routers come down to: the best experts of a row, as `largestOf` of src/routing/router.ts takes them. */
import { double, setDouble } from "./doubles";

export function expertAt(experts: usize, slot: i32): i32 {
  return load<i32>(experts + ((<usize>slot) << 2));
}

function setExpert(experts: usize, slot: i32, expert: i32): void {
  store<i32>(experts + ((<usize>slot) << 2), expert);
}

/**
 * The `count` best of [from, to), best first, equal ones by lower id.
 * @param ranked [N] of the type `Value`
 * @param bias [N] f64 added for the choice; 0: none
 * @param experts [count] i32 written
 * @param best [count] f64 scratch
 */
export function takeLargest<Value>(
  ranked: usize,
  bias: usize,
  from: i32,
  to: i32,
  count: i32,
  experts: usize,
  best: usize,
): void {
  let filled = 0;
  let least: f64 = 0; // of `count` that are taken
  for (let expert = from; expert < to; expert++) {
    let value = <f64>load<Value>(ranked + <usize>expert * sizeof<Value>());
    if (bias != 0) value += double(bias, expert);
    if (filled == count && !(value > least)) continue;
    let slot = filled < count ? filled++ : count - 1;
    while (slot > 0 && value > double(best, slot - 1)) {
      setDouble(best, slot, double(best, slot - 1));
      setExpert(experts, slot, expertAt(experts, slot - 1));
      slot--;
    }
    setDouble(best, slot, value);
    setExpert(experts, slot, expert);
    least = double(best, count - 1);
  }
}
