/**
 * Routing as a log of JSON lines, one record a line, whatever else the log holds:
 * `{"layer": 3, "top_indices": [[…], …]}`, tokens of one layer (Megatron-LM's --moe-routing-trace-path),
 * `{"layer": 3, "topk_ids": […], "topk_weights": […]}`, one token of one layer (patches of vLLM), and
 * `{"expert_load": [[…], …], "p2l_map": [[…], …]}`, loads of the slots of every layer (vLLM's load balancer).
 */
import { roleOf } from "./column-roles.ts";
import { documentOfLine, type JsonDocument, jsonMatrix, readJsonLines } from "./json-document.ts";
import { type LayerTokens, layersOf } from "./layer-tokens.ts";
import { counted, dataError } from "./matrix.ts";
import { expertKeys, type Fields, fieldsOf, keyIn, loadsFromJson, weightKeys } from "./recorded-json.ts";
import { layerTitle, type Recorded, type RecordedSizes } from "./recording.ts";

interface Line {
  readonly document: JsonDocument;
  readonly fields: Fields;
}

/** @throws DataError */
export function readRoutingLog(name: string, text: string, sizes: RecordedSizes): Recorded {
  const records = readJsonLines(name, text).map((line): Line => {
    return { document: documentOfLine(name, line), fields: fieldsOf(line.value) };
  });
  const withTokens = records.filter(({ fields }) => keyIn(fields, expertKeys) !== undefined);
  const others = records.length - withTokens.length;
  if (withTokens.length === 0) return loadsOfLog(name, records, sizes);
  const layers = new Map<string, LayerTokens>();
  for (const record of withTokens) addTokens(record, layers);
  const notes = others === 0 ? [] : [`${counted(others, "line")} without experts passed over`];
  return layersOf(name, layers, sizes, notes);
}

function addTokens({ document, fields }: Line, layers: Map<string, LayerTokens>): void {
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
  const ofRecord = layerName(fields);
  // Several rows of one token are its layers.
  const isToken =
    ofRecord === undefined &&
    Object.keys(fields).some((name) => roleOf(name) === "token" && typeof fields[name] === "number");
  for (let row = 0; row < ids.rows; row++) {
    const cut = (values: Float64Array) => values.subarray(row * ids.columns, (row + 1) * ids.columns);
    const layer = ofRecord ?? `layer ${isToken ? row : 0}`;
    const tokens = layers.get(layer) ?? { rows: [] };
    layers.set(layer, tokens);
    tokens.rows.push({
      ids: cut(ids.values),
      weights: weights && cut(weights.values),
      sequence: fields["req_id"],
      place: document.place([]),
    });
  }
}

/** Undefined where a record does not say of which layer it is. */
function layerName(fields: Fields): string | undefined {
  const key = Object.keys(fields).find((name) => roleOf(name) === "layer");
  const layer = key === undefined ? undefined : fields[key];
  if (fields["block"] === "mtp") return `mtp ${String(fields["mtp_idx"] ?? layer ?? 0)}`;
  if (layer === undefined || layer === null) return undefined;
  return layerTitle(String(layer));
}

/** Loads of every line, added up; those of slots come to the expert in each. Lines of one layer each make layers. */
function loadsOfLog(name: string, records: readonly Line[], sizes: RecordedSizes): Recorded {
  const steps = records.flatMap(({ document, fields }) => {
    const map = fields["p2l_map"] ?? fields["physical_to_logical_map"];
    const loads = loadsFromJson(document, map === undefined ? sizes : {});
    if (loads === undefined) return [];
    return [{ layer: layerName(fields), read: map === undefined ? loads : ofExperts(document, loads, map, sizes) }];
  });
  const [first] = steps;
  if (first === undefined) {
    const has = Object.keys(records[0]!.fields).slice(0, 5).join(", ");
    throw dataError(name, `no line has chosen experts or loads (the first line has ${has})`);
  }
  const { experts, loads } = first.read;
  const other = steps.find(({ read }) => read.experts !== experts || read.loads.length !== loads.length);
  if (other !== undefined) throw dataError(name, "its lines have loads of different shapes");
  const ofLayer = new Map<string | undefined, (readonly Float64Array[])[]>();
  for (const { layer, read } of steps) {
    const key = loads.length === 1 ? layer : undefined;
    ofLayer.set(key, [...(ofLayer.get(key) ?? []), read.loads]);
  }
  const sums = [...ofLayer.values()].map(addedUp);
  const most = Math.max(...[...ofLayer.values()].map(({ length }) => length));
  return {
    ...first.read,
    names: [...ofLayer.keys()].flatMap((layer) => (layer === undefined ? first.read.names : [layer])),
    loads: sums.flat(),
    notes: [...first.read.notes, ...(most === 1 && ofLayer.size > 1 ? [] : [`${counted(most, "step")} added up`])],
  };
}

const addedUp = (steps: readonly (readonly Float64Array[])[]): Float64Array[] =>
  steps[0]!.map((load, layer) => load.map((_, expert) => steps.reduce((sum, each) => sum + each[layer]![expert]!, 0)));

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
