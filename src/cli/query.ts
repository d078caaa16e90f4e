/** `moge query`: SQL over all results. */
import type { CommandModule } from "yargs";
import { table, terminalWidth } from "./format.ts";

interface Arguments {
  sql: string;
  results: string;
  format: "table" | "csv" | "json";
}

export const queryCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("sql", {
        type: "string",
        demandOption: true,
        describe:
          "of the tables runs, summary, steps, layers, expert_load, device_load, validation, saturation, probe, probe_experts, probe_pairs",
      })
      .option("results", { type: "string", default: "results", requiresArg: true, describe: "folder of results" })
      .option("format", {
        choices: ["table", "csv", "json"] as const,
        default: "table" as const,
        describe: "how it is printed",
      })
      .example('moge query "SELECT variant, avg(imbalance_score_mean) FROM runs GROUP BY variant"', ""),
  handler: async ({ sql, results, format }) => {
    const { query } = await import("../host/duckdb.ts");
    const { columns, rows } = await query(results, sql);
    const text = (value: unknown) => (value === null || value === undefined ? "" : String(value));
    if (format === "json") {
      const objects = rows.map((row) => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
      process.stdout.write(`${JSON.stringify(objects, null, 1)}\n`);
    } else if (format === "csv") {
      const { csvText } = await import("../output/csv-text.ts");
      process.stdout.write(csvText([[...columns], ...rows.map((row) => row.map(text))]));
    } else {
      process.stdout.write(`${table([[...columns], ...rows.map((row) => row.map(text))], terminalWidth())}\n`);
    }
  },
};
