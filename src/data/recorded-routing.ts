/**
 * Routing that another program recorded: the chosen experts of each token, in one layer or several, or the load of each
 * expert. Read are JSON, logs of JSON lines, tables of text, .npy, pickled counters and ESFT's `expert_weights_*.txt`;
 * what a file is, its content says.
 */
import { isEsft, readEsft } from "./esft.ts";
import { isJson, isPickle, textOf } from "./file-kind.ts";
import { parseJsonDocument } from "./json-document.ts";
import { type LayerTokens, layersOf } from "./layer-tokens.ts";
import { layersFromJson } from "./layered-json.ts";
import { isNpy, npyMatrix, parseNpy } from "./npy.ts";
import { loadsFromPickle } from "./pickled-counts.ts";
import { assignmentFromJson, loadsFromJson } from "./recorded-json.ts";
import { loadsOfMatrix, recordedFromTable } from "./recorded-table.ts";
import { assignmentOf, type Recorded, type RecordedSizes } from "./recording.ts";
import { isRoutingLog, readRoutingLog } from "./routing-log.ts";

/** @param name of the file, for messages @throws DataError */
export function parseRecorded(name: string, bytes: Uint8Array, sizes: RecordedSizes = {}): Recorded {
  if (isNpy(bytes)) return fromNpy(name, bytes, sizes);
  if (isPickle(bytes)) return loadsFromPickle(name, bytes, sizes);
  const text = textOf(name, bytes, "chosen experts or loads as JSON, as a table of text or as .npy");
  if (isRoutingLog(text)) return readRoutingLog(name, text, sizes);
  if (isJson(text)) {
    const document = parseJsonDocument(name, text);
    return (
      layersFromJson(name, document, sizes) ??
      loadsFromJson(document, sizes) ??
      assignmentFromJson(name, document, sizes)
    );
  }
  if (isEsft(text)) return readEsft(name, text, sizes);
  return recordedFromTable(name, text, sizes);
}

/** [tokens, K], or [layers, tokens, K] in either order: there are fewer layers than tokens. */
function fromNpy(name: string, bytes: Uint8Array, sizes: RecordedSizes): Recorded {
  const { shape, values } = parseNpy(name, bytes);
  if (shape.length !== 3 || values.length === 0) {
    const matrix = npyMatrix(name, bytes);
    return sizes.areLoads
      ? loadsOfMatrix({ ...matrix, values: Float64Array.from(matrix.values) }, sizes)
      : assignmentOf(name, matrix, undefined, sizes);
  }
  const [first, second, slots] = shape as [number, number, number];
  const isLayersFirst = first <= second;
  const layers = new Map<string, LayerTokens>();
  for (let i = 0; i < first; i++) {
    for (let j = 0; j < second; j++) {
      const layer = `layer ${isLayersFirst ? i : j}`;
      const tokens = layers.get(layer) ?? { rows: [] };
      const at = (i * second + j) * slots;
      tokens.rows.push({ ids: values.subarray(at, at + slots), place: `${name} at [${i}, ${j}]` });
      layers.set(layer, tokens);
    }
  }
  const read = `[${shape.join(", ")}] read as [${isLayersFirst ? "layers, tokens" : "tokens, layers"}, experts a token]`;
  return layersOf(name, layers, sizes, [read]);
}
