/** What pictures of a training have in common: the models' names, colours and curves. */

import type { Step } from "../../simulate.ts";
import { contenders } from "../batch/contenders.ts";
import type { Series } from "../charts/lines.tsx";
import { say } from "../language.ts";
import { same } from "../phrase.ts";
import type { Progress } from "./session.ts";

export const modelTitle = (name: string): string =>
  say(Object.hasOwn(contenders, name) ? contenders[name as keyof typeof contenders].short : same(name));

/** A quantity of each model over its steps. @param value undefined where the quantity does not exist */
export function curves(models: readonly Progress[], value: (step: Step) => number | undefined): Series[] {
  return models.map(({ arm, steps }) => {
    const having = steps.filter((step) => value(step) !== undefined);
    return {
      label: modelTitle(arm.name),
      series: arm.name,
      x: having.map(({ step }) => step),
      y: having.map((step) => value(step)!),
    };
  });
}

/** The curves as a table: a row for each step at which any has a value. */
export function curveTable(first: string, lines: readonly Series[]) {
  const steps = [...new Set(lines.flatMap(({ x }) => Array.from(x)))].sort((a, b) => a - b);
  const at = lines.map(({ x, y }) => new Map(Array.from(x, (step, i) => [step, y[i]!])));
  return {
    columns: [first, ...lines.map(({ label }) => label)],
    rows: steps.map((step) => [step, ...at.map((values) => values.get(step)?.toPrecision(5) ?? "")]),
  };
}
