/** How the journey's numbers are written; formulas are the same in every language. */
import { type Journey, sizes } from "./journey.ts";

export const short = (value: number): string => value.toFixed(2).replace("-", "−");
export const three = (value: number): string => value.toFixed(3).replace("-", "−");
export const vector = (values: Float64Array): string => `(${Array.from(values, short).join(", ")})`;
export const list = (numbers: readonly number[]): string => numbers.join(", ");
export const set = (numbers: readonly number[]): string => (numbers.length === 0 ? "{ }" : `{ ${list(numbers)} }`);

const subscript = (number: number): string => [...String(number)].map((digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]).join("");

/** A letter with an index, such as s₁₀. */
export const at = (letter: string, index: number): string => `${letter}${subscript(index)}`;

export const expertsOf = ({ chosen }: Journey): number[] => chosen.map(({ expert }) => expert);

/** The expert whose numbers stand for all: the first of the chosen, else the best. */
export const shownExpert = ({ chosen, scores }: Journey): number =>
  chosen[0]?.expert ?? scores.indexOf(Math.max(...scores));

export const deviceOf = (expert: number): number => Math.floor((expert * sizes.devices) / sizes.experts);

export const devicesOf = (journey: Journey): number[] =>
  [...new Set(expertsOf(journey).map(deviceOf))].sort((a, b) => a - b);
