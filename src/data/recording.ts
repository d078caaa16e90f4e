/** What a recording of routing comes to: the experts of each token, or the load of each expert. */
import type { Floats } from "../core/floats.ts";
import { type Assignment, NO_EXPERT } from "../routing/assignment.ts";
import type { Domains } from "./logits.ts";
import { dataError, type Matrix } from "./matrix.ts";

/** The experts of some tokens. */
export interface RecordedAssignment {
  readonly kind: "assignment";
  readonly assignment: Assignment;
  /** N */
  readonly experts: number;
  /** Whether the weights are the file's; otherwise they are equal shares. */
  readonly weighted: boolean;
  readonly domains?: Domains | undefined;
  /** First token of each sequence. */
  readonly sequenceStarts?: readonly number[] | undefined;
  readonly notes: readonly string[];
}

/** Loads of the experts of several layers or steps. */
export interface RecordedLoads {
  readonly kind: "loads";
  readonly experts: number;
  /** What each load is of. */
  readonly names: readonly string[];
  /** [loads][N] */
  readonly loads: readonly Float64Array[];
  readonly notes: readonly string[];
}

/** The experts of the same or other tokens in several layers. */
export interface RecordedLayers {
  readonly kind: "layers";
  /** N */
  readonly experts: number;
  readonly layers: readonly { readonly name: string; readonly recording: RecordedAssignment }[];
  readonly notes: readonly string[];
}

export type Recorded = RecordedAssignment | RecordedLoads | RecordedLayers;

export type ArrayAxes = "layers,tokens" | "tokens,layers";

export interface RecordedSizes {
  /** N; absent: as many as the file names. */
  readonly experts?: number | undefined;
  /** K, where the file does not tell. */
  readonly topK?: number | undefined;
  /** Bare numbers are loads, a line a layer, rather than the chosen experts of tokens. */
  readonly areLoads?: boolean | undefined;
  /** The first axes of a bare array of three; absent: the shorter one is of layers. */
  readonly axes?: ArrayAxes | undefined;
}

/** Makes an assignment of a matrix of expert ids, where -1 is an empty slot. @param weights [T, slots] */
export function assignmentOf(
  name: string,
  ids: Matrix<Floats>,
  weights: Floats | undefined,
  sizes: RecordedSizes,
): RecordedAssignment {
  const { rows: tokens, columns: slots, values } = ids;
  const most = sizes.experts ?? 1 << 20;
  let highest = -1;
  const experts = new Int32Array(values.length);
  for (let token = 0, j = 0; token < tokens; token++) {
    const first = j;
    for (let slot = 0; slot < slots; slot++, j++) {
      const id = values[j]!;
      if (!Number.isInteger(id) || id < NO_EXPERT || id >= most) {
        const allowed =
          sizes.experts === undefined ? "a whole number from 0, or -1 for none" : `0 … ${most - 1}, or -1 for none`;
        throw dataError(ids.place(token, slot), `token ${token} has expert ${id}; expected ${allowed}`);
      }
      experts[j] = id;
      if (id === NO_EXPERT) continue;
      if (id > highest) highest = id;
      for (let before = first; before < j; before++) {
        if (experts[before] !== id) continue;
        throw dataError(ids.place(token, slot), `token ${token} has expert ${id} twice; expected distinct experts`);
      }
    }
  }
  if (highest === -1) throw dataError(name, "has no expert in any slot");
  const notes = sizes.experts === undefined ? [assumedExperts(highest + 1)] : [];
  const even = (expert: number) => (expert === NO_EXPERT ? 0 : 1 / slots);
  return {
    kind: "assignment",
    assignment: { tokens, slots, experts, weights: weights ?? Float64Array.from(experts, even) },
    experts: sizes.experts ?? highest + 1,
    weighted: weights !== undefined,
    notes,
  };
}

export const assumedExperts = (experts: number): string =>
  `${experts} experts, by the highest number in the file; --experts says it if there are more`;

/** The first axes of a bare array of three, and what is to be said of them where nobody has said it. */
export function axesOf(shape: readonly number[], sizes: RecordedSizes): { axes: ArrayAxes; notes: readonly string[] } {
  if (sizes.axes !== undefined) return { axes: sizes.axes, notes: [] };
  const axes = shape[0]! <= shape[1]! ? "layers,tokens" : "tokens,layers";
  const read = `[${shape.join(", ")}] read as [${axes.replace(",", ", ")}, experts a token]`;
  return { axes, notes: [`${read}; --axes says it if it is otherwise`] };
}

/** What a layer is called that has this number, or name. */
export const layerTitle = (layer: string): string => (/^\d+$/.test(layer) ? `layer ${layer}` : layer);
