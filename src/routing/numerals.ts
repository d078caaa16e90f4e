/** Numbers as explanations print them. */

/** Five significant digits, the shortest form of those; an exact 0 shows that it is one. */
export function numeral(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  return String(Number(value.toPrecision(5))).replace("-", "−");
}
