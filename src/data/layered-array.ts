/** Recorded routing as a bare array of numbers, of which nothing but the shape says what its axes are. */
import type { Floats } from "../core/floats.ts";
import { NO_EXPERT } from "../routing/assignment.ts";
import { together } from "./layer-tokens.ts";
import { counted, dataError } from "./matrix.ts";
import { loadsOfMatrix } from "./recorded-table.ts";
import { assignmentOf, axesOf, type Recorded, type RecordedLoads, type RecordedSizes } from "./recording.ts";

export interface NumberArray {
  readonly shape: readonly number[];
  /** The last index is the fastest. */
  readonly values: Floats;
  place(index: readonly number[]): string;
}

/**
 * Chosen experts, [layers, tokens, K] or [tokens, layers, K]: there are fewer layers than tokens, unless `axes` says.
 * Tokens without an expert are padding and left out.
 */
export function layersOfArray(name: string, { shape, values, place }: NumberArray, sizes: RecordedSizes): Recorded {
  const [first, second, slots] = shape as [number, number, number];
  const { axes, notes } = axesOf(shape, sizes);
  const isLayersFirst = axes === "layers,tokens";
  const [layers, tokens] = isLayersFirst ? [first, second] : [second, first];
  const index = (layer: number, token: number) => (isLayersFirst ? [layer, token] : [token, layer]);
  let pads = 0;
  const read = Array.from({ length: layers }, (_, layer) => {
    const start = (token: number) => (isLayersFirst ? layer * second + token : token * second + layer) * slots;
    const rows = new Uint32Array(tokens); // the tokens that are none of padding
    const ids = new Float64Array(tokens * slots);
    let real = 0;
    for (let token = 0; token < tokens; token++) {
      const at = start(token);
      let isEmpty = true;
      for (let slot = 0; slot < slots; slot++) {
        const id = values[at + slot]!;
        ids[real * slots + slot] = id;
        if (id !== NO_EXPERT) isEmpty = false;
      }
      if (isEmpty) pads++;
      else rows[real++] = token;
    }
    const matrix = {
      rows: real,
      columns: slots,
      values: ids.subarray(0, real * slots),
      place: (row: number) => place(index(layer, rows[row]!)),
    };
    return real === 0 ? [] : [{ name: `layer ${layer}`, recording: assignmentOf(name, matrix, undefined, sizes) }];
  }).flat();
  return together(name, read, notes, pads);
}

/** Loads, [experts], [layers, experts] or [steps, layers, experts], steps being added up. */
export function loadsOfArray(name: string, { shape, values, place }: NumberArray, sizes: RecordedSizes): RecordedLoads {
  if (shape.length === 0 || shape.length > 3 || values.length === 0) {
    throw dataError(
      name,
      `has the shape [${shape.join(", ")}]; expected loads, [layers, experts] or [steps, layers, experts]`,
    );
  }
  const columns = shape.at(-1)!;
  const layers = shape.at(-2) ?? 1;
  const steps = shape.length === 3 ? shape[0]! : 1;
  const indexOf = (row: number, column: number) => [
    ...(shape.length === 3 ? [Math.floor(row / layers)] : []),
    ...(shape.length > 1 ? [row % layers] : []),
    column,
  ];
  const { loads, ...read } = loadsOfMatrix(
    {
      rows: steps * layers,
      columns,
      values: Float64Array.from(values),
      place: (row, column) => place(indexOf(row, column)),
    },
    sizes,
  );
  if (steps === 1) return { ...read, loads };
  const ofLayer = (layer: number) => loads.filter((_, row) => row % layers === layer);
  const sums = Array.from({ length: layers }, (_, layer) =>
    Float64Array.from({ length: columns }, (_, expert) => ofLayer(layer).reduce((sum, load) => sum + load[expert]!, 0)),
  );
  return { ...read, names: read.names.slice(0, layers), loads: sums, notes: [`${counted(steps, "step")} added up`] };
}
