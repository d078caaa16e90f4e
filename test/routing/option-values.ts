/** Values of table entries' knobs, for tests that go through all of them. */
import type { Knobs } from "../../src/core/knob.ts";

/** Every combination of the choices of an entry; its other knobs keep their defaults. */
export function choicesOf(knobs: Knobs = {}): Record<string, unknown>[] {
  return Object.entries(knobs).reduce<Record<string, unknown>[]>(
    (all, [name, knob]) => {
      const values =
        knob.kind === "choice" ? Object.keys(knob.options) : knob.kind === "boolean" ? [false, true] : [knob.default];
      return all.flatMap((options) => values.map((value) => ({ ...options, [name]: value })));
    },
    [{}],
  );
}

export const nameOf = (options: Record<string, unknown>): string =>
  Object.entries(options)
    .filter(([, value]) => typeof value !== "number")
    .map(([name, value]) => `, ${name} ${value}`)
    .join("");
