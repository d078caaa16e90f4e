/** `moge diff`: what two runs differ in, config and figures. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { UsageError } from "./failure.ts";
import { table, terminalWidth } from "./format.ts";
import { resultsOption, runArgument, runDirectory } from "./run-argument.ts";

interface Arguments {
  a: string;
  b: string;
  results: string;
  json: boolean;
}

interface Difference {
  readonly key: string;
  readonly a: unknown;
  readonly b: unknown;
}

export const diffCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("a", runArgument)
      .positional("b", runArgument)
      .option("results", resultsOption)
      .option("json", { type: "boolean", default: false, describe: "as JSON" }),
  handler: async ({ a, b, results, json }) => {
    const { leaves, valueAt } = await import("../config/layers.ts");
    const { parse } = await import("yaml");
    const { readCsv } = await import("../output/csv.ts");
    const [one, other] = [runDirectory(results, a), runDirectory(results, b)];
    const configs = [one, other].map((directory) => parse(textOf(directory, "config.yaml")) as object);
    const keys = [...new Set(configs.flatMap((config) => leaves(config)))].filter((key) => key !== "name");
    const settings = keys.map((key) => ({ key, a: valueAt(configs[0], key), b: valueAt(configs[1], key) }));
    const changed = settings.filter((each) => JSON.stringify(each.a) !== JSON.stringify(each.b));
    const summaries = [one, other].map((directory) => {
      textOf(directory, "summary.csv");
      return readCsv(join(directory, "summary.csv"));
    });
    const figures = figureDifferences(summaries[0]!, summaries[1]!);
    if (json) process.stdout.write(`${JSON.stringify({ a: one, b: other, config: changed, figures }, null, 1)}\n`);
    else process.stdout.write(`${text(changed, figures)}\n`);
  },
};

/** @throws UsageError when the run does not have it */
function textOf(directory: string, file: string): string {
  try {
    return readFileSync(join(directory, file), "utf8");
  } catch {
    throw new UsageError(`${directory} has no ${file}; it is not a finished run`);
  }
}

/** Variants of the same name are compared; two runs with one each are compared whatever they are called. */
function figureDifferences(a: readonly Record<string, string>[], b: readonly Record<string, string>[]): Difference[] {
  const pairs = a.flatMap((row) => {
    const partner = a.length === 1 && b.length === 1 ? b[0] : b.find(({ variant }) => variant === row["variant"]);
    return partner === undefined ? [] : [[row, partner] as const];
  });
  return pairs.flatMap(([row, partner]) =>
    Object.keys({ ...row, ...partner })
      .filter((column) => column !== "variant" && row[column] !== partner[column])
      .map((column) => ({
        key: pairs.length > 1 ? `${row["variant"]} ${column}` : column,
        a: row[column] ?? "",
        b: partner[column] ?? "",
      })),
  );
}

function text(config: readonly Difference[], figures: readonly Difference[]): string {
  const cell = (value: unknown) =>
    value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value);
  const change = ({ a, b }: Difference) => {
    const [from, to] = [Number(a), Number(b)];
    return a === "" || b === "" || !Number.isFinite(from) || !Number.isFinite(to) || from === 0
      ? ""
      : `${(100 * (to / from - 1)).toFixed(1)} %`;
  };
  const rows = (differences: readonly Difference[], withChange: boolean) =>
    differences.map((each) => [each.key, cell(each.a), cell(each.b), ...(withChange ? [change(each)] : [])]);
  const width = terminalWidth();
  return [
    config.length === 0 ? "the same config" : table([["config", "a", "b"], ...rows(config, false)], width),
    figures.length === 0 ? "the same figures" : table([["figure", "a", "b", "change"], ...rows(figures, true)], width),
  ].join("\n\n");
}
