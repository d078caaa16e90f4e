/** Arguments that several commands take. */
import { UsageError } from "./failure.ts";
import { progressModes } from "./progress-modes.ts";

/** A config, by file or by the name of one that comes with the package. */
export const configArgument = {
  type: "string",
  default: "quickstart",
  describe: "a file, or the name of a packaged config",
} as const;

export const setOption = {
  type: "string",
  array: true,
  nargs: 1, // or it would swallow the file behind it
  requiresArg: true,
  default: [] as string[],
  describe: "override a value, as often as you like, e.g. --set training.steps=100",
} as const;

/** For an option that is given once; twice would arrive as a list. @param what its value is the path of */
export const once =
  (flag: string, what: "file" | "folder") =>
  <Value extends string | undefined>(value: Value | string[]): Value => {
    if (!Array.isArray(value) && value !== "") return value;
    throw new UsageError(`--${flag}: expected one ${what}`);
  };

export const resultOptions = {
  results: {
    type: "string",
    default: "results",
    describe: "folder for results",
    requiresArg: true,
    coerce: once("results", "folder"),
  },
  force: { type: "boolean", default: false, describe: "replace an existing result" },
} as const;

/** What is written besides CSV. */
export const formatOptions = {
  parquet: { type: "boolean", default: false, describe: "write a Parquet file beside each CSV file" },
  tensorboard: { type: "boolean", default: false, describe: "write TensorBoard event files" },
} as const;

export const progressOption = {
  choices: progressModes,
  default: "auto" as const,
  describe: "how progress is shown",
} as const;

/** A path, or - for standard input, which yargs makes an empty text of. */
export const inputPath = (path: unknown): string | undefined => {
  if (path === "" && process.argv.includes("-")) return "-";
  if (path === undefined || (typeof path === "string" && path !== "")) return path;
  throw new UsageError("expected the path of one file, or - for standard input");
};

/** An option that takes one whole number. @param least,most the smallest and largest that mean something */
export const wholeNumber = (name: string, least: number, most = Number.MAX_SAFE_INTEGER) =>
  ({
    type: "string",
    requiresArg: true,
    coerce: (text: unknown): number | undefined => {
      if (text === undefined || typeof text === "number") return text;
      const value = typeof text === "string" && /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
      if (value >= least && value <= most) return value;
      const range = most === Number.MAX_SAFE_INTEGER ? `, ${least} or more` : ` from ${least} to ${most}`;
      throw new UsageError(`--${name} ${String(text)}: expected a whole number${range}`);
    },
  }) as const;

export const jobsOption = {
  ...wholeNumber("jobs", 1, 1024),
  describe: "runs at a time, instead of one a core",
} as const;
