/** The choices of tokens gathered layer by layer, and the recordings that come of them. */
import { NO_EXPERT } from "../routing/assignment.ts";
import { counted, dataError } from "./matrix.ts";
import {
  assignmentOf,
  type Recorded,
  type RecordedAssignment,
  type RecordedLayers,
  type RecordedSizes,
} from "./recording.ts";

export interface TokenChoice {
  /** -1: an empty slot */
  readonly ids: ArrayLike<number>;
  readonly weights?: ArrayLike<number> | undefined;
  /** Whatever tells one sequence from the next; undefined: not known. */
  readonly sequence?: unknown;
  /** For messages. */
  readonly place: string;
}

export interface LayerTokens {
  readonly rows: TokenChoice[];
}

/**
 * One recording where there is one layer, else all of them. Tokens without any expert are padding and left out.
 * @throws DataError
 */
export function layersOf(
  name: string,
  layers: ReadonlyMap<string, LayerTokens>,
  sizes: RecordedSizes,
  notes: readonly string[],
): Recorded {
  let pads = 0;
  const filled = [...layers].flatMap(([layer, { rows }]) => {
    const real = rows.filter(({ ids }) => Array.from(ids).some((id) => id !== NO_EXPERT));
    pads += rows.length - real.length;
    return real.length === 0 ? [] : [{ name: layer, rows: real }];
  });
  const read = filled.map((layer) => ({ name: layer.name, recording: assignmentOfRows(name, layer.rows, sizes) }));
  return together(name, read, notes, pads);
}

/**
 * One recording where there is one layer, else all of them, of as many experts as the layer with the most.
 * @param pads tokens without any expert that were left out
 * @throws DataError where there is no layer
 */
export function together(
  name: string,
  read: RecordedLayers["layers"],
  ownNotes: readonly string[],
  pads = 0,
): Recorded {
  if (read.length === 0) throw dataError(name, "has no token with an expert");
  const notes = [...ownNotes, ...(pads === 0 ? [] : [`${counted(pads, "token")} without an expert left out`])];
  const experts = Math.max(...read.map(({ recording }) => recording.experts));
  const [only] = read;
  if (read.length === 1) return { ...only!.recording, notes: [...only!.recording.notes, ...notes] };
  const layers = read.map((layer) => ({ ...layer, recording: { ...layer.recording, experts } }));
  const assumed = read.find(({ recording }) => recording.experts === experts)!.recording.notes;
  return { kind: "layers", experts, layers, notes: [...assumed, ...notes] };
}

function assignmentOfRows(name: string, rows: readonly TokenChoice[], sizes: RecordedSizes): RecordedAssignment {
  const columns = rows.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  const values = new Float64Array(rows.length * columns).fill(NO_EXPERT);
  const isWeighted = rows.every(({ weights }) => weights !== undefined);
  const weights = isWeighted ? new Float64Array(values.length) : undefined;
  const sequenceStarts: number[] = [];
  rows.forEach((row, t) => {
    values.set(Array.from(row.ids), t * columns);
    weights?.set(Array.from(row.weights!), t * columns);
    if (row.sequence !== undefined && (t === 0 || row.sequence !== rows[t - 1]!.sequence)) sequenceStarts.push(t);
  });
  const bad = weights?.findIndex((weight) => !Number.isFinite(weight)) ?? -1;
  if (bad !== -1)
    throw dataError(rows[Math.floor(bad / columns)]!.place, `the weight ${weights![bad]}; expected a finite number`);
  const ids = { rows: rows.length, columns, values, place: (row: number) => rows[row]!.place };
  const read = assignmentOf(name, ids, weights, sizes);
  return sequenceStarts.length === 0 ? read : { ...read, sequenceStarts };
}
