/** Arguments that several commands take. */

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

export const resultOptions = {
  results: { type: "string", default: "results", describe: "folder for results", requiresArg: true },
  force: { type: "boolean", default: false, describe: "replace an existing result" },
} as const;
