/** A text domain that is made, not read: true sums, differences and products of small whole numbers. */
import { integerPower } from "../core/elementary.ts";
import { type Random, randomStream } from "../core/random.ts";

const LINES = 39_000;

/** Lines such as `347+58=405`, about 400 kB. Always the same text: its random stream is its own, not the run's. */
export function arithmeticText(): string {
  const random = randomStream("arithmetic", "lines");
  return Array.from({ length: LINES }, () => equation(random)).join("");
}

const operations = [
  { sign: "+", digits: 4, result: (a: number, b: number) => a + b },
  { sign: "-", digits: 4, result: (a: number, b: number) => a - b },
  { sign: "*", digits: 2, result: (a: number, b: number) => a * b },
] as const;

function equation(random: Random): string {
  const { sign, digits, result } = operations[random.below(operations.length)]!;
  const a = operand(random, digits);
  const b = operand(random, digits);
  return `${a}${sign}${b}=${result(a, b)}\n`;
}

/** Every number of digits up to the largest is equally likely, so that short operands are not rare. */
function operand(random: Random, largestDigits: number): number {
  return random.below(integerPower(10, 1 + random.below(largestDigits)));
}
