/** `moge metrics`: lists the metrics with their formulas, or measures a recorded routing with all that apply. */
import type { CommandModule } from "yargs";
import type { ArrayAxes, Recorded, RecordedAssignment, RecordedLayers, RecordedLoads } from "../data/recording.ts";
import type { Measured } from "../metrics/measure.ts";
import type { RoutedBatch } from "../output/routing-report.ts";
import { showSections } from "./catalogue.ts";
import { UsageError } from "./failure.ts";
import { inputPath, wholeNumber } from "./options.ts";
import { comparable, type Named, readRecorded, recordedOptions } from "./recorded.ts";
import { devicesOf } from "./route-settings.ts";
import { type Report, writeReport } from "./write-report.ts";

interface Arguments {
  readonly name?: string;
  readonly of?: string | undefined;
  readonly experts?: number | undefined;
  readonly topk?: number | undefined;
  readonly devices?: number | undefined;
  readonly against?: string | undefined;
  readonly layer?: string | undefined;
  readonly loads: boolean;
  readonly axes?: ArrayAxes | undefined;
  readonly tokens: number;
  readonly json: boolean;
  readonly out?: string | undefined;
  readonly force: boolean;
}

export const metricsCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("name", { type: "string", describe: "one metric, with all that is known of it; none: list them" })
      .option("of", {
        type: "string",
        requiresArg: true,
        coerce: inputPath,
        describe:
          "measure this file: chosen experts or loads as JSON, JSON lines, CSV, .npy, pickled counters or ESFT's text; - for standard input",
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
      .options(recordedOptions)
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
    const recorded = await readRecorded(args.of, { ...args, topK: args.topk });
    const other =
      args.against === undefined
        ? undefined
        : await readRecorded(args.against, { ...args, topK: args.topk, experts: recorded.experts });
    writeReport(args, await reported(args, recorded, other));
  },
};

function reported(args: Arguments, recorded: Named<Recorded>, other: Named<Recorded> | undefined): Promise<Report> {
  if (recorded.kind === "assignment") return ofAssignment(args, recorded, other);
  if (other !== undefined) {
    throw new UsageError(
      recorded.kind === "loads"
        ? `${recorded.name}: holds loads; --against needs the experts of each token`
        : `${recorded.name}: holds ${recorded.layers.length} layers; say with --layer which to hold against the other file`,
    );
  }
  return recorded.kind === "loads" ? ofLoads(args, recorded) : ofLayers(args, recorded);
}

async function ofAssignment(
  args: Arguments,
  recorded: Named<RecordedAssignment>,
  other: Named<Recorded> | undefined,
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

/** Each layer with all that can be measured of it; loads are pooled as those of a file of loads are. */
async function ofLayers(args: Arguments, recorded: Named<RecordedLayers>): Promise<Report> {
  const [
    { countLoad },
    { deviceLoad },
    { measureLoad, measureLoads, measureRouting },
    { loadsFiles, loadsJson, loadsText },
  ] = await Promise.all([
    import("../routing/assignment.ts"),
    import("../placement/device-load.ts"),
    import("../metrics/measure.ts"),
    import("../output/loads-report.ts"),
  ]);
  const { experts, layers } = recorded;
  const { devices, deviceOf } = devicesOf(args, { experts });
  const loads = layers.map(({ recording }) => {
    const load = new Float64Array(experts);
    countLoad(recording.assignment, load);
    return load;
  });
  const onDevices = deviceOf && loads.map((load) => deviceLoad(load, deviceOf, devices));
  const batch = {
    title: `recorded in ${recorded.name}`,
    experts,
    devices,
    topKKnown: true,
    layers: layers.map(({ name, recording: { assignment, weighted, domains, sequenceStarts } }, i) => {
      const context = { tokens: assignment.tokens, topK: assignment.slots };
      return {
        name,
        load: loads[i]!,
        measured: [
          ...measureLoad(loads[i]!, "experts", context),
          ...(onDevices ? measureLoad(onDevices[i]!, "devices", context) : []),
          ...measureRouting({ assignment, experts, deviceOf, weighted, domains: domains?.of, sequenceStarts }),
        ],
      };
    }),
    pooled: [...measureLoads(loads, "experts"), ...(onDevices ? measureLoads(onDevices, "devices") : [])],
  };
  return { text: () => loadsText(batch), json: () => loadsJson(batch), files: () => loadsFiles(batch) };
}

async function ofLoads(args: Arguments, recorded: Named<RecordedLoads>): Promise<Report> {
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
