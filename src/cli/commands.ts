/**
 * The commands: what `moge --help` says of each, and where the rest of it is. The module of a command is loaded when it
 * is called for, so that help and every command start without what the others need.
 */

export interface LazyCommand {
  readonly command: string;
  readonly describe: string;
  load(): Promise<LoadedCommand>;
}

/** What a command's module has beside its name; a CommandModule of arguments of its own. */
interface LoadedCommand {
  readonly builder?: unknown;
  handler(args: never): unknown;
}

export const commands: readonly LazyCommand[] = [
  {
    command: "run [config]",
    describe: "train and price the variants of a config, side by side",
    load: async () => (await import("./run.ts")).runCommand,
  },
  {
    command: "config <command>",
    describe: "look into a config",
    load: async () => (await import("./config.ts")).configCommand,
  },
  {
    command: "schema",
    describe: "print the JSON Schema of config files",
    load: async () => (await import("./schema.ts")).schemaCommand,
  },
  {
    command: "experiment <name>",
    describe: "carry an experiment out, write its report, check its claims",
    load: async () => (await import("./experiment.ts")).experimentCommand,
  },
  {
    command: "experiments",
    describe: "list the experiments and their questions",
    load: async () => (await import("./experiments.ts")).experimentsCommand,
  },
  {
    command: "sweep <file>",
    describe: "run what is missing of a sweep: many configs, each run known by the hash of its own",
    load: async () => (await import("./sweep.ts")).sweepCommand,
  },
  {
    command: "status <directory>",
    describe: "how far a sweep is: what is done, runs, failed or missing",
    load: async () => (await import("./status.ts")).statusCommand,
  },
  {
    command: "ls [results]",
    describe: "list runs, sweeps and experiments",
    load: async () => (await import("./ls.ts")).lsCommand,
  },
  {
    command: "diff <a> <b>",
    describe: "what two runs differ in: configs and figures",
    load: async () => (await import("./diff.ts")).diffCommand,
  },
  {
    command: "why <run> [key]",
    describe: "which file or flag set what in a run",
    load: async () => (await import("./why.ts")).whyCommand,
  },
  {
    command: "verify <run>",
    describe: "run it again, apart, and compare the bytes",
    load: async () => (await import("./verify.ts")).verifyCommand,
  },
  {
    command: "report <directory>",
    describe: "write report.html anew from the files of a sweep, experiment or run",
    load: async () => (await import("./report.ts")).reportCommand,
  },
  {
    command: "plot <files..>",
    describe: "draw a column of CSV files against another, or by your own Vega-Lite",
    load: async () => (await import("./plot.ts")).plotCommand,
  },
  {
    command: "query <sql>",
    describe: "ask all results in SQL, with DuckDB",
    load: async () => (await import("./query.ts")).queryCommand,
  },
  {
    command: "task <directory> [ids..]",
    describe: "carry out runs of a planned sweep; what schedulers call",
    load: async () => (await import("./task.ts")).taskCommand,
  },
  {
    command: "route <file>",
    describe: "route a matrix of logits: who goes where, and how even it is",
    load: async () => (await import("./route.ts")).routeCommand,
  },
  {
    command: "routers [name]",
    describe: "list the routers, score functions, normalisations and presets",
    load: async () => (await import("./catalogue.ts")).routersCommand,
  },
  {
    command: "rules [name]",
    describe: "list the balancing rules and the capacity rules",
    load: async () => (await import("./catalogue.ts")).rulesCommand,
  },
  {
    command: "metrics [name]",
    describe: "list the metrics, or measure a recorded routing",
    load: async () => (await import("./metrics.ts")).metricsCommand,
  },
  {
    command: "place <file>",
    describe: "deploy experts by measured loads, with replicas of the hot ones",
    load: async () => (await import("./place.ts")).placeCommand,
  },
  {
    command: "cost <config>",
    describe: "price one training step on a simulated machine",
    load: async () => (await import("./cost.ts")).costCommand,
  },
  {
    command: "plan <config>",
    describe: "search the fastest parallel layout that fits",
    load: async () => (await import("./plan.ts")).planCommand,
  },
  {
    command: "validate",
    describe: "put the cost model beside published figures",
    load: async () => (await import("./validate.ts")).validateCommand,
  },
  {
    command: "page",
    describe: "open the page: one token, a batch, live training, results; prints its path",
    load: async () => (await import("./page.ts")).pageCommand,
  },
];
