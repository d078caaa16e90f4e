/**
 * Routing as a log of JSON lines, one record a line, whatever else the log holds:
 * `{"layer": 3, "top_indices": [[…], …]}`, tokens of one layer (Megatron-LM's --moe-routing-trace-path),
 * `{"layer": 3, "topk_ids": […], "topk_weights": […]}`, one token of one layer (patches of vLLM), and
 * `{"expert_load": [[…], …], "p2l_map": [[…], …]}`, loads of the slots of every layer (vLLM's load balancer).
 */
import { type JsonDocument, jsonMatrix } from "./json-document.ts";
import { type LayerTokens, layersOf } from "./layer-tokens.ts";
import { counted, dataError, placeInText } from "./matrix.ts";
import { expertKeys, type Fields, fieldsOf, keyIn, loadsFromJson, weightKeys } from "./recorded-json.ts";
import type { Recorded, RecordedSizes } from "./recording.ts";

interface Line {
  readonly number: number;
  readonly fields: Fields;
}

/** More than one object, each on a line of its own. */
export const isRoutingLog = (text: string): boolean => /^\ufeff?\s*\{.*\}\s*\n\s*\{/.test(text.slice(0, 1 << 20));

/** @throws DataError */
export function readRoutingLog(name: string, text: string, sizes: RecordedSizes): Recorded {
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  const records = lines.flatMap((line, number): Line[] =>
    line.trim() === "" ? [] : [{ number, fields: fieldsOf(parsed(name, line, number)) }],
  );
  const withTokens = records.filter(({ fields }) => keyIn(fields, expertKeys) !== undefined);
  const others = records.length - withTokens.length;
  if (withTokens.length === 0) return loadsOfLog(name, records, sizes);
  const layers = new Map<string, LayerTokens>();
  for (const record of withTokens) addTokens(name, record, layers);
  const notes = others === 0 ? [] : [`${counted(others, "line")} without experts passed over`];
  return layersOf(name, layers, sizes, notes);
}

function parsed(name: string, line: string, number: number): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch (error) {
    const cut = number > 0 ? "; is the log cut off?" : "";
    throw dataError(placeInText(name, number, 0), `is not JSON: ${(error as Error).message}${cut}`);
  }
}

/** A line as a document: all that it holds stands at its beginning. */
const documentOf = (name: string, { number, fields }: Line): JsonDocument => ({
  value: fields,
  place: () => placeInText(name, number, 0),
});

function addTokens(name: string, line: Line, layers: Map<string, LayerTokens>): void {
  const { fields } = line;
  const document = documentOf(name, line);
  const rowsOf = (key: string) => {
    const found = fields[key] as unknown[];
    return jsonMatrix(document, [key], Array.isArray(found[0]) ? found : [found], "token");
  };
  const key = keyIn(fields, expertKeys)!;
  if ((fields[key] as unknown[]).length === 0) return;
  const ids = rowsOf(key);
  const weightKey = keyIn(fields, weightKeys);
  const weights = weightKey === undefined ? undefined : rowsOf(weightKey);
  if (weights !== undefined && (weights.rows !== ids.rows || weights.columns !== ids.columns)) {
    throw dataError(document.place([]), `"${weightKey}" and "${key}" are not of the same shape`);
  }
  const layer = layerName(fields);
  const tokens = layers.get(layer) ?? { rows: [] };
  for (let row = 0; row < ids.rows; row++) {
    const cut = (values: Float64Array) => values.subarray(row * ids.columns, (row + 1) * ids.columns);
    tokens.rows.push({
      ids: cut(ids.values),
      weights: weights && cut(weights.values),
      sequence: fields["req_id"],
      place: document.place([]),
    });
  }
  layers.set(layer, tokens);
}

function layerName(fields: Fields): string {
  const layer = fields["layer"] ?? fields["layer_id"] ?? fields["layer_idx"] ?? 0;
  return fields["block"] === "mtp" ? `mtp ${String(fields["mtp_idx"] ?? layer)}` : `layer ${String(layer)}`;
}

/** Loads of every line, added up; those of slots come to the expert in each. */
function loadsOfLog(name: string, records: readonly Line[], sizes: RecordedSizes): Recorded {
  const steps = records.flatMap((record) => {
    const { fields } = record;
    const map = fields["p2l_map"] ?? fields["physical_to_logical_map"];
    const document = documentOf(name, record);
    const loads = loadsFromJson(document, map === undefined ? sizes : {});
    return loads === undefined ? [] : [map === undefined ? loads : ofExperts(document, loads, map, sizes)];
  });
  const [first] = steps;
  if (first === undefined) {
    const has = Object.keys(records[0]!.fields).slice(0, 5).join(", ");
    throw dataError(name, `no line has chosen experts or loads (the first line has ${has})`);
  }
  const other = steps.find(({ experts, loads }) => experts !== first.experts || loads.length !== first.loads.length);
  if (other !== undefined) throw dataError(name, "its lines have loads of different shapes");
  const loads = first.loads.map((_, layer) =>
    first.loads[layer]!.map((_, expert) => steps.reduce((sum, step) => sum + step.loads[layer]![expert]!, 0)),
  );
  return { ...first, loads, notes: [...first.notes, `${counted(steps.length, "step")} added up`] };
}

type Loads = NonNullable<ReturnType<typeof loadsFromJson>>;

function ofExperts(document: JsonDocument, slots: Loads, map: unknown, sizes: RecordedSizes): Loads {
  const expertOf = jsonMatrix(document, ["p2l_map"], map, "layer");
  if (expertOf.rows !== slots.loads.length || expertOf.columns !== slots.experts) {
    throw dataError(document.place([]), "its loads and its map from slots to experts are not of the same shape");
  }
  const experts = sizes.experts ?? expertOf.values.reduce((most, expert) => Math.max(most, expert), -1) + 1;
  const loads = slots.loads.map((load, layer) => {
    const sums = new Float64Array(experts);
    load.forEach((tokens, slot) => {
      const expert = expertOf.values[layer * slots.experts + slot]!;
      if (!Number.isInteger(expert) || expert < 0 || expert >= experts) {
        throw dataError(document.place([]), `a slot holds expert ${expert}, not one of 0 … ${experts - 1}`);
      }
      sums[expert] = sums[expert]! + tokens;
    });
    return sums;
  });
  return { ...slots, experts, loads };
}
