/**
 * Routing that another program recorded: the chosen experts of each token, in one layer or several, or the load of each
 * expert. Read are JSON, logs of JSON lines, tables of text, .npy, pickled counters and ESFT's `expert_weights_*.txt`;
 * what a file is, its content says.
 */
import { isEsft, readEsft } from "./esft.ts";
import { isJson, isPickle, textOf } from "./file-kind.ts";
import { isJsonLines, named, parseJsonDocument } from "./json-document.ts";
import { layersOfArray, loadsOfArray } from "./layered-array.ts";
import { layersFromJson } from "./layered-json.ts";
import { isNpy, npyMatrix, parseNpy, withoutBatchOfOne } from "./npy.ts";
import { loadsFromPickle } from "./pickled-counts.ts";
import { assignmentFromJson, loadsFromJson } from "./recorded-json.ts";
import { recordedFromTable } from "./recorded-table.ts";
import { assignmentOf, type Recorded, type RecordedSizes } from "./recording.ts";
import { readRoutingLog } from "./routing-log.ts";

/** @param name of the file, for messages @throws DataError */
export function parseRecorded(name: string, bytes: Uint8Array, sizes: RecordedSizes = {}): Recorded {
  if (isNpy(bytes)) return fromNpy(name, bytes, sizes);
  if (isPickle(bytes)) return loadsFromPickle(name, bytes, sizes);
  const text = textOf(name, bytes, "chosen experts or loads as JSON, as a table of text or as .npy");
  if (isJsonLines(text)) return readRoutingLog(name, text, sizes);
  if (isJson(text)) {
    const document = parseJsonDocument(name, text);
    const bareLoads = sizes.areLoads && Array.isArray(document.value) ? named(document, "load") : undefined;
    if (bareLoads !== undefined) return loadsFromJson(bareLoads, sizes)!;
    return (
      layersFromJson(name, document, sizes) ??
      loadsFromJson(document, sizes) ??
      assignmentFromJson(name, document, sizes)
    );
  }
  if (isEsft(text)) return readEsft(name, text, sizes);
  return recordedFromTable(name, text, sizes);
}

function fromNpy(name: string, bytes: Uint8Array, sizes: RecordedSizes): Recorded {
  const array = parseNpy(name, bytes);
  const shape = withoutBatchOfOne(array.shape);
  const place = (index: readonly number[]) => `${name} at [${index.join(", ")}]`;
  if (sizes.areLoads) return loadsOfArray(name, { ...array, shape, place }, sizes);
  if (shape.length === 3 && array.values.length > 0) return layersOfArray(name, { ...array, shape, place }, sizes);
  return assignmentOf(name, npyMatrix(name, array), undefined, sizes);
}
