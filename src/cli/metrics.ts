/** `moge metrics`: lists the metrics with their formulas, or measures a recorded routing with all that apply. */
import type { CommandModule } from "yargs";
import type { RecordedAssignment, RecordedLoads } from "../data/recording.ts";
import type { Measured } from "../metrics/measure.ts";
import type { RoutedBatch } from "../output/routing-report.ts";
import { showSections } from "./catalogue.ts";
import { UsageError } from "./failure.ts";
import { inputPath, wholeNumber } from "./options.ts";
import { devicesOf } from "./route-settings.ts";
import { type Report, writeReport } from "./write-report.ts";

interface Arguments {
  readonly name?: string;
  readonly of?: string | undefined;
  readonly experts?: number | undefined;
  readonly topk?: number | undefined;
  readonly devices?: number | undefined;
  readonly against?: string | undefined;
  readonly tokens: number;
  readonly json: boolean;
  readonly out?: string | undefined;
  readonly force: boolean;
}

export const metricsCommand: CommandModule<object, Arguments> = {
  command: "metrics [name]",
  describe: "list the metrics, or measure a recorded routing",
  builder: (yargs) =>
    yargs
      .positional("name", { type: "string", describe: "one metric, with all that is known of it; none: list them" })
      .option("of", {
        type: "string",
        requiresArg: true,
        coerce: inputPath,
        describe:
          "measure this file: chosen experts or loads as JSON, CSV or .npy, or ESFT's text; - for standard input",
      })
      .option("experts", { ...wholeNumber("experts", 1), describe: "N (default: as many as the file names)" })
      .option("topk", { ...wholeNumber("topk", 1), describe: "K, where the file does not tell" })
      .option("devices", {
        ...wholeNumber("devices", 1),
        describe: "D, devices with equal runs of experts; adds their loads and the fan-out",
      })
      .option("against", {
        type: "string",
        requiresArg: true,
        coerce: inputPath,
        describe: "another routing of the same tokens: adds overlap and saturation",
      })
      .option("tokens", { ...wholeNumber("tokens", 0), default: 4, describe: "tokens that are shown one by one" })
      .option("json", { type: "boolean", default: false, describe: "as JSON" })
      .option("out", {
        type: "string",
        requiresArg: true,
        describe: "write CSV files into this folder, or JSON into a file *.json",
      })
      .option("force", { type: "boolean", default: false, describe: "replace what --out finds there" }) as never,
  handler: async (args) => {
    if (args.of === undefined) {
      const { metricSections } = await import("../output/catalogue.ts");
      return showSections("metric", metricSections(), args.name, args.json);
    }
    if (args.name !== undefined) throw new UsageError(`${args.name} beside --of: with --of all metrics are measured`);
    const recorded = await read(args.of, args);
    const other =
      args.against === undefined ? undefined : await read(args.against, { ...args, experts: recorded.experts });
    writeReport(
      args,
      recorded.kind === "loads" ? await ofLoads(args, recorded, other) : await ofAssignment(args, recorded, other),
    );
  },
};

async function read(path: string, { experts, topk }: Pick<Arguments, "experts" | "topk">) {
  const [{ readInput }, { parseRecorded }] = await Promise.all([
    import("../host/read-input.ts"),
    import("../data/recorded-routing.ts"),
  ]);
  const { name, bytes } = readInput(path);
  const recorded = parseRecorded(name, bytes, { experts, topK: topk });
  for (const note of recorded.notes) process.stderr.write(`${name}: ${note}\n`);
  return { ...recorded, name };
}

type Named<Recording> = Recording & { readonly name: string };

async function ofAssignment(
  args: Arguments,
  recorded: Named<RecordedAssignment>,
  other: Named<RecordedAssignment | RecordedLoads> | undefined,
): Promise<Report> {
  const [{ countLoad }, { deviceLoad }, measure, report] = await Promise.all([
    import("../routing/assignment.ts"),
    import("../placement/device-load.ts"),
    import("../metrics/measure.ts"),
    import("../output/routing-report.ts"),
  ]);
  const { assignment, experts, weighted, domains, sequenceStarts } = recorded;
  const { devices, deviceOf } = devicesOf(args, { experts });
  const expertLoad = new Int32Array(experts);
  countLoad(assignment, expertLoad);
  const onDevices = deviceOf === undefined ? undefined : { load: deviceLoad(expertLoad, deviceOf, devices), deviceOf };
  const context = { tokens: assignment.tokens, topK: assignment.slots };
  const measured = [
    ...measure.measureLoad(expertLoad, "experts", context),
    ...(onDevices === undefined ? [] : measure.measureLoad(onDevices.load, "devices", context)),
    ...measure.measureRouting({
      assignment,
      experts,
      deviceOf,
      weighted,
      domains: domains?.of,
      sequenceStarts,
      other: other && comparable(other, assignment.tokens),
    }),
  ];
  const batch: RoutedBatch = {
    title: `recorded in ${recorded.name}${weighted ? "" : "; without weights, which are shown as equal shares"}`,
    settings: { file: recorded.name },
    shape: { experts, topK: assignment.slots },
    assignment,
    chosen: assignment.experts,
    expertLoad,
    devices: onDevices,
    domains,
    measured,
  };
  return {
    text: () => report.routingText(batch, args.tokens),
    json: () => report.routingJson(batch),
    files: () => report.routingFiles(batch),
  };
}

function comparable(other: Named<RecordedAssignment | RecordedLoads>, tokens: number) {
  if (other.kind === "loads")
    throw new UsageError(`${other.name}: holds loads; --against needs the experts of each token`);
  if (other.assignment.tokens === tokens) return other.assignment;
  throw new UsageError(
    `${other.name}: holds ${other.assignment.tokens} tokens, the other file ${tokens}; both must be the same`,
  );
}

async function ofLoads(args: Arguments, recorded: Named<RecordedLoads>, other: object | undefined): Promise<Report> {
  if (other !== undefined)
    throw new UsageError(`${recorded.name}: holds loads; --against needs the experts of each token`);
  const [{ deviceLoad }, { measureLoad, measureLoads }, { loadsFiles, loadsJson, loadsText }] = await Promise.all([
    import("../placement/device-load.ts"),
    import("../metrics/measure.ts"),
    import("../output/loads-report.ts"),
  ]);
  const { experts, loads, names } = recorded;
  const { devices, deviceOf } = devicesOf(args, { experts });
  const onDevices = deviceOf && loads.map((load) => deviceLoad(load, deviceOf, devices));
  const sides: [string, readonly ArrayLike<number>[]][] = [
    ["experts", loads],
    ...(onDevices ? [["devices", onDevices] as [string, Float64Array[]]] : []),
  ];
  const measured = (load: ArrayLike<number>, of: string): Measured[] => {
    const total = Array.from(load).reduce((sum, each) => sum + each, 0);
    const topK = args.topk ?? 1;
    return measureLoad(load, of, { tokens: total / topK, topK });
  };
  const batch = {
    title: `recorded in ${recorded.name}`,
    experts,
    devices,
    topKKnown: args.topk !== undefined,
    layers: names.map((name, i) => ({
      name,
      measured: sides.flatMap(([of, each]) => measured(each[i]!, of)),
      load: loads[i]!,
    })),
    pooled: sides.flatMap(([of, each]) => measureLoads(each, of)),
  };
  return { text: () => loadsText(batch), json: () => loadsJson(batch), files: () => loadsFiles(batch) };
}
