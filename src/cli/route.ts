/** `moge route`: routes a matrix of logits and shows where the tokens go, how the loads lie, and why. */
import type { CommandModule } from "yargs";
import type { LogitsFile } from "../data/logits.ts";
import type { RoutedBatch } from "../output/routing-report.ts";
import { capacityRules } from "../routing/capacity.ts";
import { normalisations } from "../routing/gates.ts";
import type { RouteFacts, Routing } from "../routing/route.ts";
import { routerNamed } from "../routing/routers.ts";
import { scoreFunctions } from "../routing/scores.ts";
import { UsageError } from "./failure.ts";
import { inputPath, setOption, wholeNumber } from "./options.ts";
import { comparable, readRecorded } from "./recorded.ts";
import type { RouteArguments, RoutePlan } from "./route-settings.ts";
import { writeReport } from "./write-report.ts";

interface Arguments extends RouteArguments {
  readonly file: string;
  readonly seed: number;
  readonly inference: boolean;
  readonly against?: string | undefined;
  readonly explain?: number | undefined;
  readonly tokens: number;
  readonly json: boolean;
  readonly out?: string | undefined;
  readonly force: boolean;
}

export const routeCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("file", {
        type: "string",
        demandOption: true,
        coerce: inputPath,
        describe: "logits [tokens, experts] as JSON, CSV or .npy; - for standard input",
      })
      .option("router", {
        type: "string",
        requiresArg: true,
        describe: "which rule; moge routers lists them (default topk)",
      })
      .option("preset", {
        type: "string",
        requiresArg: true,
        describe: "a published combination; moge routers lists them",
      })
      .option("set", {
        ...setOption,
        describe: "a setting, as often as you like, e.g. --set scoreFunction=sigmoid --set capacity.factor=1.25",
      })
      .option("topk", {
        ...wholeNumber("topk", 1),
        describe: "K, experts of a token (default 2, or what the router needs)",
      })
      .option("groups", { ...wholeNumber("groups", 1), describe: "M, groups of experts" })
      .option("devices", {
        ...wholeNumber("devices", 1),
        describe: "D, devices with equal runs of experts; adds their loads and the fan-out",
      })
      .option("experts", { ...wholeNumber("experts", 1), describe: "N, to check that the file has as many" })
      .option("seed", { ...wholeNumber("seed", 0), default: 1, describe: "of routers that draw" })
      .option("inference", {
        type: "boolean",
        default: false,
        describe: "as when nothing is learned: no noise, no balancing by the router",
      })
      .option("against", {
        type: "string",
        requiresArg: true,
        coerce: inputPath,
        describe: "another routing of the same tokens, e.g. what --json wrote: adds overlap and saturation",
      })
      .option("explain", {
        ...wholeNumber("explain", 0),
        describe: "the journey of this token, step by step in its own numbers",
      })
      .option("tokens", { ...wholeNumber("tokens", 0), default: 16, describe: "tokens that are shown one by one" })
      .option("json", { type: "boolean", default: false, describe: "all of it as JSON" })
      .option("out", {
        type: "string",
        requiresArg: true,
        describe: "write CSV files into this folder, or JSON into a file *.json",
      })
      .option("force", { type: "boolean", default: false, describe: "replace what --out finds there" }) as never,
  handler: async (args) => {
    const [{ readInput }, { parseLogits }, { planRoute }] = await Promise.all([
      import("../host/read-input.ts"),
      import("../data/logits.ts"),
      import("./route-settings.ts"),
    ]);
    const { name, bytes } = readInput(args.file);
    const file = parseLogits(name, bytes);
    for (const note of file.notes) process.stderr.write(`${name}: ${note}\n`);
    const plan = planRoute(args, file.logits.rows, file.logits.columns);
    if (args.explain !== undefined && args.explain >= file.logits.rows) {
      const { rows } = file.logits;
      throw new UsageError(`--explain ${args.explain}: the file has ${rows} tokens, 0 … ${rows - 1}`);
    }
    if (args.explain !== undefined) {
      const { explainToken } = await import("../output/explain-token.ts");
      const { routing, facts } = await routed(args, plan, file, name);
      const lines = explainToken({ routing, facts, token: args.explain, deviceOf: plan.deviceOf });
      process.stdout.write(`${lines.join("\n")}\n`);
      return;
    }
    const routing = (await routedFast(plan, file)) ?? (await routed(args, plan, file, name)).routing;
    const batch = await reported(args, plan, file, routing);
    const { routingFiles, routingJson, routingText } = await import("../output/routing-report.ts");
    writeReport(args, {
      text: () => routingText(batch, args.tokens),
      json: () => routingJson(batch),
      files: () => routingFiles(batch),
    });
  },
};

/** Routes the whole file as one batch. */
async function routed(args: Arguments, { settings, shape }: RoutePlan, file: LogitsFile, name: string) {
  const [{ newRouting, route }, { randomStream }] = await Promise.all([
    import("../routing/route.ts"),
    import("../core/random.ts"),
  ]);
  const { needs = [] } = routerNamed(settings.selection).promises;
  for (const need of needs) {
    if (file[need] !== undefined) continue;
    const column = need === "domains" ? "domain" : "token_id";
    throw new UsageError(
      `router ${settings.selection} goes by the ${need} of the tokens, which ${name} does not have; add "${need}" to the JSON, or a column ${column} to the CSV`,
    );
  }
  const routing = newRouting(file.logits.values, shape, settings, { raw: file.rawNoise });
  const facts: RouteFacts = {
    training: !args.inference,
    random: randomStream(args.seed, "route"),
    bias: file.bias,
    domains: file.domains?.of,
    tokenIds: file.tokenIds,
  };
  if (routing.noise?.settings.kind === "learned" && file.rawNoise === undefined && !args.inference) {
    throw new UsageError(
      `router ${settings.selection} adds noise of a learned width, made of "rawNoise" [tokens, experts], which ${name} does not have; add it, or give --set noise=gaussian or --inference`,
    );
  }
  route(routing, facts);
  return { routing, facts };
}

/** Large files are in single precision, and so is what the fast kernels make of them; their experts are the same. */
async function routedFast({ settings, shape }: RoutePlan, { logits, bias }: LogitsFile) {
  if (!(logits.values instanceof Float32Array) || bias !== undefined) return undefined;
  const { routeBatch } = await import("../host/route-batch.ts");
  return routeBatch(logits.values, shape, settings);
}

async function reported(args: Arguments, plan: RoutePlan, file: LogitsFile, routing: Routing): Promise<RoutedBatch> {
  const [{ countLoad }, { deviceLoad }, { measureLoad, measureRouting }] = await Promise.all([
    import("../routing/assignment.ts"),
    import("../placement/device-load.ts"),
    import("../metrics/measure.ts"),
  ]);
  const { shape, settings, devices, deviceOf } = plan;
  const { assignment, chosen, scores } = routing;
  const expertLoad = new Int32Array(shape.experts);
  countLoad(assignment, expertLoad);
  const onDevices =
    devices === undefined || deviceOf === undefined
      ? undefined
      : { load: deviceLoad(expertLoad, deviceOf, devices), deviceOf };
  const context = { tokens: assignment.tokens, topK: shape.topK };
  const other = args.against === undefined ? undefined : await otherRouting(args.against, plan, assignment.tokens);
  const measured = [
    ...measureLoad(expertLoad, "experts", context),
    ...(onDevices === undefined ? [] : measureLoad(onDevices.load, "devices", context)),
    ...measureRouting({
      assignment,
      experts: shape.experts,
      deviceOf,
      weighted: true,
      chosen,
      scores,
      domains: file.domains?.of,
      other,
    }),
  ];
  const { deviceOf: _, devices: __, ...capacity } = settings.capacity ?? {};
  return {
    title: titleOf(plan),
    settings: { ...settings, ...(settings.capacity && { capacity }), seed: args.seed },
    shape,
    assignment,
    chosen,
    expertLoad,
    devices: onDevices,
    domains: file.domains,
    measured,
  };
}

async function otherRouting(path: string, { shape }: RoutePlan, tokens: number) {
  const other = await readRecorded(path, { experts: shape.experts });
  return comparable(other, tokens);
}

function titleOf({ settings }: RoutePlan): string {
  const { selection, scoreFunction, normalisation, scale, capacity } = settings;
  return [
    `${selection}: ${routerNamed(selection).title}`,
    `scores: ${scoreFunctions[scoreFunction].title}`,
    `weights: ${normalisations[normalisation]}${scale === 1 ? "" : `, times ${scale}`}`,
    capacity === undefined
      ? "nothing is dropped"
      : `capacity of each ${capacity.level}: ${capacityRules[capacity.rule].title}, factor ${capacity.factor}`,
  ].join("; ");
}
