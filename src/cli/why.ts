/** `moge why`: which file or flag set each value of a run. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CommandModule } from "yargs";
import { UsageError } from "./failure.ts";
import { resultsOption, runArgument, runDirectory } from "./run-argument.ts";

interface Arguments {
  run: string;
  key?: string;
  results: string;
  json: boolean;
}

export const whyCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("run", runArgument)
      .positional("key", { type: "string", describe: "a key, or the start of one; none: all that are not defaults" })
      .option("results", resultsOption)
      .option("json", { type: "boolean", default: false, describe: "as JSON" }),
  handler: async ({ run, key, results, json }) => {
    const directory = runDirectory(results, run);
    const provenance = join(directory, "provenance.json");
    if (!existsSync(provenance)) {
      throw new UsageError(
        `${directory} has no provenance.json, which a run writes when it is complete and git leaves out`,
      );
    }
    const { origins } = JSON.parse(readFileSync(provenance, "utf8")) as {
      origins?: Record<string, Record<string, string>>;
    };
    if (origins === undefined)
      throw new UsageError(`${provenance} is of an earlier version, which did not note origins`);
    const [{ resolveConfig }, { leaves, valueAt }] = await Promise.all([
      import("../config/resolve.ts"),
      import("../config/layers.ts"),
    ]);
    const text = readFileSync(join(directory, "config.yaml"), "utf8");
    const { variants } = resolveConfig({ path: "config.yaml", read: () => text, besides: (_, file) => file });
    const rows = variants.flatMap(({ name, config }) => {
      const own = new Map(Object.entries(origins[name] ?? {}));
      return leaves(config).map((at) => ({
        variant: name,
        key: at,
        value: valueAt(config, at),
        origin: own.get(at) ?? "default",
      }));
    });
    const shown = rows.filter((row) =>
      key === undefined ? row.origin !== "default" : row.key === key || row.key.startsWith(`${key}.`),
    );
    if (shown.length === 0 && key !== undefined) {
      const { didYouMean } = await import("../config/problem.ts");
      throw new UsageError(
        `${key}: the run has no such key${didYouMean(
          key,
          rows.map((row) => row.key),
        )}`,
      );
    }
    if (json) process.stdout.write(`${JSON.stringify(shown, null, 1)}\n`);
    else {
      const many = variants.length > 1;
      for (const { variant, key: at, value, origin } of shown) {
        process.stdout.write(`${many ? `${variant} ` : ""}${at}: ${JSON.stringify(value)}  # ${origin}\n`);
      }
    }
  },
};
