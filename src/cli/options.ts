/** Arguments that several commands take. */
import { UsageError } from "./failure.ts";

/** A config, by file or by the name of one that comes with the package. */
export const configArgument = {
  type: "string",
  default: "quickstart",
  describe: "a file, or the name of a packaged config",
} as const;

export const setOption = {
  type: "string",
  array: true,
  requiresArg: true,
  default: [] as string[],
  describe: "override a value, as often as you like, e.g. --set training.steps=100",
} as const;

/** An option that was given twice would arrive as a list. */
const once = (value: string | string[]): string => {
  if (typeof value === "string" && value !== "") return value;
  throw new UsageError("--results: expected one folder");
};

export const resultOptions = {
  results: { type: "string", default: "results", describe: "folder for results", requiresArg: true, coerce: once },
  force: { type: "boolean", default: false, describe: "replace an existing result" },
} as const;
