/** What runs are called where a person reads of them. */
import type { SweepPlan } from "./sweep-plan.ts";

/** What tells a run from the others of its sweep: "variant topk, model.groups 4, seed 2". */
export function labels({ axes, runs }: SweepPlan): (id: string) => string {
  const byId = new Map(runs.map((run) => [run.id, run]));
  return (id) => {
    const run = byId.get(id);
    if (run === undefined) return "";
    const { variant, seed, set } = run;
    const values: Readonly<Record<string, unknown>> = { ...set, variant, seed };
    const shown = axes.length > 0 ? axes : ["variant"];
    return shown
      .map((key) => `${key} ${typeof values[key] === "string" ? values[key] : JSON.stringify(values[key])}`)
      .join(", ");
  };
}
