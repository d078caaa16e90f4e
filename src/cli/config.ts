/** `moge config show`: what a config comes to, and which file or flag set each value. */
import type { CommandModule } from "yargs";
import type { OriginOfValue } from "../config/describe-origins.ts";
import { readConfig } from "../host/read-config.ts";
import { configArgument, setOption } from "./options.ts";

interface Arguments {
  config: string;
  set: string[];
  resolved: boolean;
  json: boolean;
}

const showCommand: CommandModule<object, Arguments> = {
  command: "show [config]",
  describe: "print a config as it would run",
  builder: (yargs) =>
    yargs
      .positional("config", configArgument)
      .option("set", setOption)
      .option("resolved", {
        type: "boolean",
        default: false,
        describe: "every value with the file or flag that set it",
      })
      .option("json", { type: "boolean", default: false, describe: "as JSON" }),
  handler: async ({ config, set, resolved: withOrigins, json }) => {
    const resolved = await readConfig(config, set);
    if (withOrigins) {
      const { describeOrigins } = await import("../config/describe-origins.ts");
      const values = describeOrigins(resolved);
      process.stdout.write(json ? `${JSON.stringify(values, null, 2)}\n` : originTable(values));
    } else if (json) {
      process.stdout.write(`${JSON.stringify(resolved.file, null, 2)}\n`);
    } else {
      const { stringify } = await import("yaml");
      process.stdout.write(stringify(resolved.file));
    }
  },
};

/** Values that all variants share come once; then each variant's own. */
function originTable(rows: readonly OriginOfValue[]): string {
  const lines: string[] = [];
  let variant: string | undefined;
  for (const row of rows) {
    if (row.variant !== variant) {
      variant = row.variant;
      lines.push(`${lines.length > 0 ? "\n" : ""}# ${variant === "" ? "all variants" : `variant ${variant}`}`);
    }
    lines.push(`${row.key}: ${JSON.stringify(row.value)}  # ${row.origin}`);
  }
  return `${lines.join("\n")}\n`;
}

export const configCommand: CommandModule = {
  builder: (yargs) => yargs.command(showCommand).demandCommand(1, "say what to do, for example: moge config show"),
  handler: () => undefined,
};
