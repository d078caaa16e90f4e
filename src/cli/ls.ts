/** `moge ls`: the results in a folder. */
import { statSync } from "node:fs";
import { basename, join } from "node:path";
import type { CommandModule } from "yargs";
import { UsageError } from "./failure.ts";
import { table, terminalWidth } from "./format.ts";

interface Arguments {
  results: string;
  json: boolean;
}

export const lsCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("results", { type: "string", default: "results", describe: "folder of results" })
      .option("json", { type: "boolean", default: false, describe: "as JSON" }),
  handler: async ({ results, json }) => {
    const [{ findResults }, { readPlan }, { sweepState, countStates }] = await Promise.all([
      import("../host/find-runs.ts"),
      import("../run/sweep-plan.ts"),
      import("../run/sweep-state.ts"),
    ]);
    if (statSync(results, { throwIfNoEntry: false })?.isDirectory() === false) {
      throw new UsageError(`${results} is no folder; give a folder of results`);
    }
    const rows = findResults(results).flatMap(({ directory, kind, complete }) => {
      const changed = statSync(directory, { throwIfNoEntry: false })?.mtime;
      if (changed === undefined) return []; // a run that has just been completed, and its folder renamed
      const state = kind === "sweep" ? stateOf(directory) : complete ? "done" : "interrupted";
      const when = changed.toISOString().slice(0, 16).replace("T", " ");
      return [{ name: basename(directory), kind, state, changed: when }];
    });
    function stateOf(directory: string): string {
      try {
        const statuses = sweepState(directory, readPlan(directory), false);
        return `${statuses.length} runs: ${countStates(statuses)
          .map(([state, count]) => `${count} ${state}`)
          .join(", ")}`;
      } catch (error) {
        return (error as Error).message;
      }
    }
    if (json) process.stdout.write(`${JSON.stringify(rows, null, 1)}\n`);
    else if (rows.length === 0)
      process.stderr.write(`${join(results)} holds no results; moge run or moge sweep makes some\n`);
    else {
      const cells = rows.map(({ name, kind, changed, state }) => [name, kind, changed, state]);
      process.stdout.write(`${table([["name", "kind", "changed", "state"], ...cells], terminalWidth())}\n`);
    }
  },
};
