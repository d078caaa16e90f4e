/** `moge place`: what rebalancers make of measured loads, with replicas of hot experts, and what that costs. */
import type { CommandModule } from "yargs";
import type { ArrayAxes } from "../data/recording.ts";
import type { MeasuredDeployment } from "../metrics/measure-deployment.ts";
import type { RebalancerOutcome } from "../output/deployment-report.ts";
import type { Deployment } from "../placement/deployment.ts";
import type { RebalanceShape } from "../placement/rebalancers.ts";
import type { Assignment } from "../routing/assignment.ts";
import { UsageError } from "./failure.ts";
import { inputPath, wholeNumber } from "./options.ts";
import { type RecordedArguments, readRecorded, recordedOptions } from "./recorded.ts";
import { writeReport } from "./write-report.ts";

interface Arguments {
  readonly file: string | undefined;
  readonly devices: number;
  readonly slots?: number | undefined;
  readonly experts?: number | undefined;
  readonly groups?: number | undefined;
  readonly nodes?: number | undefined;
  readonly layer?: string | undefined;
  readonly loads: boolean;
  readonly axes?: ArrayAxes | undefined;
  readonly on?: string | undefined;
  readonly given?: string | undefined;
  readonly json: boolean;
  readonly out?: string | undefined;
  readonly force: boolean;
}

export const placeCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("file", {
        type: "string",
        coerce: inputPath,
        describe: "chosen experts or loads, as `moge metrics --of` reads them; - for standard input",
      })
      .option("devices", { ...wholeNumber("devices", 1), demandOption: true, describe: "D" })
      .option("slots", {
        ...wholeNumber("slots", 1),
        describe: "experts that a device has room for (default: one more than N/D)",
      })
      .option("experts", { ...wholeNumber("experts", 1), describe: "N (default: as many as the file names)" })
      .option("groups", { ...wholeNumber("groups", 1), describe: "groups of experts that stay on a node (default: 1)" })
      .option("nodes", { ...wholeNumber("nodes", 1), describe: "nodes that the devices are spread over (default: 1)" })
      .options(recordedOptions)
      .option("on", {
        type: "string",
        requiresArg: true,
        coerce: inputPath,
        describe: "measure on this file instead: how well does a deployment made of the past serve?",
      })
      .option("given", {
        type: "string",
        requiresArg: true,
        coerce: inputPath,
        describe: "a deployment to compare: expert_map.json, physical_to_logical_map, .npy",
      })
      .option("json", { type: "boolean", default: false, describe: "as JSON" })
      .option("out", {
        type: "string",
        requiresArg: true,
        describe: "write CSV and each expert_map.json into this folder, or JSON into a file *.json",
      })
      .option("force", { type: "boolean", default: false, describe: "replace what --out finds there" }) as never,
  handler: async (args) => {
    const past = await readLoads(args.file!, args);
    const present = args.on === undefined ? past : await readLoads(args.on, { ...args, experts: past.experts });
    requireSameLayers(present.name, present.loads.length, past);
    const [{ deploymentFiles, deploymentJson, deploymentText }, { measureDeployment }] = await Promise.all([
      import("../output/deployment-report.ts"),
      import("../metrics/measure-deployment.ts"),
    ]);
    const measure: Measure = (deployment, i) =>
      measureDeployment(deployment, present.loads[i]!, present.assignments?.[i]);
    const { devices, groups = 1, nodes = 1, slots = Math.ceil(past.experts / devices) + 1 } = args;
    const outcomes = await rebalanced(past, { devices, slots, groups, nodes }, measure);
    if (args.given !== undefined) outcomes.push(await given(args.given, devices, present, measure));
    const report = {
      title: `made of ${past.name}, measured on ${args.on === undefined ? "the same" : present.name}`,
      names: present.names,
      experts: past.experts,
      devices,
      slots,
      outcomes,
    };
    writeReport(args, {
      text: () => deploymentText(report),
      json: () => deploymentJson(report),
      files: () => deploymentFiles(report),
    });
  },
};

interface Loads {
  readonly name: string;
  readonly experts: number;
  readonly names: readonly string[];
  readonly loads: readonly Float64Array[];
  /** Of each load; absent where the file holds loads alone. */
  readonly assignments: readonly Assignment[] | undefined;
}

async function readLoads(path: string, args: RecordedArguments): Promise<Loads> {
  const [recorded, { countLoad }] = await Promise.all([readRecorded(path, args), import("../routing/assignment.ts")]);
  if (recorded.kind === "loads") return { ...recorded, assignments: undefined };
  const layers = recorded.kind === "layers" ? recorded.layers : [{ name: "all", recording: recorded }];
  const loads = layers.map(({ recording }) => {
    const load = new Float64Array(recorded.experts);
    countLoad(recording.assignment, load);
    return load;
  });
  return {
    name: recorded.name,
    experts: recorded.experts,
    names: layers.map(({ name }) => name),
    loads,
    assignments: layers.map(({ recording }) => recording.assignment),
  };
}

type Measure = (deployment: Deployment, load: number) => MeasuredDeployment;

/** Deployments of every rebalancer, made of past loads. */
async function rebalanced(past: Loads, shape: RebalanceShape, measure: Measure): Promise<RebalancerOutcome[]> {
  const [{ rebalancers }, { DeploymentError }] = await Promise.all([
    import("../placement/rebalancers.ts"),
    import("../placement/deployment.ts"),
  ]);
  return Object.entries(rebalancers).map(([name, { title, rebalance }]) => {
    try {
      return { name, title, outcome: past.loads.map((load, i) => measure(rebalance(load, shape), i)) };
    } catch (error) {
      if (error instanceof DeploymentError) return { name, title, outcome: error.message };
      throw error;
    }
  });
}

async function given(path: string, devices: number, present: Loads, measure: Measure): Promise<RebalancerOutcome> {
  const [{ readInput }, { parseDeployments }, { DeploymentError }] = await Promise.all([
    import("../host/read-input.ts"),
    import("../data/deployment-file.ts"),
    import("../placement/deployment.ts"),
  ]);
  const { name, bytes } = readInput(path);
  const deployments = parseDeployments(name, bytes, { experts: present.experts, devices });
  requireSameLayers(name, deployments.length, present);
  try {
    return { name: "given", title: name, outcome: deployments.map(measure) };
  } catch (error) {
    if (error instanceof DeploymentError) throw new UsageError(`${name}: ${error.message}`);
    throw error;
  }
}

function requireSameLayers(name: string, layers: number, { name: other, loads }: Loads): void {
  if (layers === loads.length) return;
  throw new UsageError(`${name}: is of ${layers} layers, but ${other} holds ${loads.length} loads; both must agree`);
}
