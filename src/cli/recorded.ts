/** Recorded routing as commands take it: read, its notes told, and one layer of several chosen. */
import type { ArrayAxes, Recorded, RecordedAssignment, RecordedSizes } from "../data/recording.ts";
import { UsageError } from "./failure.ts";

export type Named<Recording> = Recording & { readonly name: string };

/** Options of commands that read recorded routing. */
export const recordedOptions = {
  layer: {
    type: "string",
    requiresArg: true,
    describe: "of a file of several layers: this one, by its number or name",
  },
  loads: {
    type: "boolean",
    default: false,
    describe: "bare numbers are loads, a line a layer, not the experts of tokens",
  },
  axes: {
    type: "string",
    requiresArg: true,
    choices: ["layers,tokens", "tokens,layers"] satisfies ArrayAxes[],
    describe: "of an array with three axes, the first two (default: the shorter is of layers)",
  },
} as const;

export interface RecordedArguments extends Pick<RecordedSizes, "experts" | "topK" | "axes"> {
  readonly layer?: string | undefined;
  readonly loads?: boolean | undefined;
}

/** @throws DataError for the file, UsageError where it has no such layer */
export async function readRecorded(path: string, args: RecordedArguments): Promise<Named<Recorded>> {
  const [{ readInput }, { parseRecorded }] = await Promise.all([
    import("../host/read-input.ts"),
    import("../data/recorded-routing.ts"),
  ]);
  const { name, bytes } = readInput(path);
  const recorded = parseRecorded(name, bytes, {
    experts: args.experts,
    topK: args.topK,
    areLoads: args.loads,
    axes: args.axes,
  });
  for (const note of recorded.notes) process.stderr.write(`${name}: ${note}\n`);
  return args.layer === undefined ? { ...recorded, name } : layerOf({ ...recorded, name }, args.layer);
}

function layerOf(recorded: Named<Recorded>, wanted: string): Named<Recorded> {
  const { name } = recorded;
  const isWanted = (layer: string) => layer === wanted || layer.split(" ").at(-1) === wanted;
  const names = namesOf(recorded);
  const index = names.findIndex(isWanted);
  if (index === -1) {
    const has =
      names.length === 0
        ? "one layer without a name"
        : `${names.slice(0, 8).join(", ")}${names.length > 8 ? " …" : ""}`;
    throw new UsageError(`--layer ${wanted}: ${name} has ${has}`);
  }
  if (recorded.kind === "layers") return { ...recorded.layers[index]!.recording, name: `${name}, ${names[index]}` };
  if (recorded.kind === "loads") return { ...recorded, names: [names[index]!], loads: [recorded.loads[index]!] };
  return recorded;
}

function namesOf(recorded: Recorded): readonly string[] {
  if (recorded.kind === "layers") return recorded.layers.map(({ name }) => name);
  return recorded.kind === "loads" ? recorded.names : [];
}

/** @throws UsageError unless it holds the experts of each of these tokens in one layer */
export function comparable(other: Named<Recorded>, tokens: number): RecordedAssignment["assignment"] {
  if (other.kind !== "assignment") {
    const holds = other.kind === "loads" ? "loads" : `${other.layers.length} layers`;
    throw new UsageError(`${other.name}: holds ${holds}; --against needs the experts of each token in one layer`);
  }
  if (other.assignment.tokens === tokens) return other.assignment;
  throw new UsageError(
    `${other.name}: holds ${other.assignment.tokens} tokens, the other ${tokens}; both must be the same`,
  );
}
