/**
 * JSON documents that hold several layers, as different programs nest them: tokens by name with layers by name
 * (`router_data` of gpt-oss analyses), arrays [tokens, layers, K] (vLLM's `prompt_routed_experts`) or [layers, tokens,
 * K] (SGLang's `topk_ids_of_layer`), and counts by layer (`layers: {"3": {"cnt": […]}}` of GLM's saliency files).
 */
import { type JsonDocument, jsonMatrix, named } from "./json-document.ts";
import { type LayerTokens, layersOf } from "./layer-tokens.ts";
import { dataError } from "./matrix.ts";
import { expertKeys, type Fields, fieldsOf, keyIn } from "./recorded-json.ts";
import { axesOf, type Recorded, type RecordedLoads, type RecordedSizes } from "./recording.ts";

/** Undefined when the document is none of these. @throws DataError when it is one and broken */
export function layersFromJson(name: string, document: JsonDocument, sizes: RecordedSizes): Recorded | undefined {
  const fields = fieldsOf(document.value);
  if (Array.isArray(fields["router_data"])) return fromNamedTokens(name, document, fields["router_data"], sizes);
  for (const key of ["prompt_routed_experts", "routed_experts"]) {
    if (Array.isArray(fields[key])) return fromArrays(name, document, key, { ...sizes, axes: "tokens,layers" });
  }
  if (Array.isArray(fields["topk_ids_of_layer"])) {
    return fromArrays(name, document, "topk_ids_of_layer", { ...sizes, axes: "layers,tokens" });
  }
  const key = keyIn(fields, expertKeys);
  if (key !== undefined && isDeep(fields[key])) return fromArrays(name, document, key, sizes);
  if (isDeep(document.value)) return fromArrays(name, named(document, "array"), "array", sizes);
  const layers = Object.entries(fieldsOf(fields["layers"]));
  if (layers.length > 0 && layers.every(([, layer]) => Array.isArray(fieldsOf(layer)["cnt"]))) {
    return fromCounts(document, layers, sizes);
  }
  return undefined;
}

/** Of three axes. */
const isDeep = (found: unknown): boolean => {
  const first: unknown = Array.isArray(found) ? found[0] : undefined;
  return Array.isArray(first) && Array.isArray(first[0]);
};

function fromNamedTokens(name: string, document: JsonDocument, found: unknown[], sizes: RecordedSizes): Recorded {
  const layers = new Map<string, LayerTokens>();
  found.forEach((entry, i) => {
    for (const [token, ofLayers] of Object.entries(fieldsOf(entry))) {
      for (const [key, choice] of Object.entries(fieldsOf(ofLayers))) {
        const layer = key.replace("_", " ");
        const path = ["router_data", i, token, key];
        const { selected_experts: ids, selected_probs: weights } = fieldsOf(choice);
        const rowOf = (key: string, row: unknown) =>
          jsonMatrix({ ...document, place: () => document.place(path) }, [key], [row], "token").values;
        const tokens = layers.get(layer) ?? { rows: [] };
        tokens.rows.push({
          ids: rowOf("selected_experts", ids),
          weights: weights === undefined ? undefined : rowOf("selected_probs", weights),
          place: `${name} at ${token}, ${layer}`,
        });
        layers.set(layer, tokens);
      }
    }
  });
  return layersOf(name, layers, sizes, []);
}

function fromArrays(name: string, document: JsonDocument, key: string, sizes: RecordedSizes): Recorded {
  const layers = new Map<string, LayerTokens>();
  const found = fieldsOf(document.value)[key] as unknown[];
  const lengths = (array: unknown): number[] => (Array.isArray(array) ? [array.length, ...lengths(array[0])] : []);
  const { axes, notes } = axesOf(lengths(found), sizes);
  const isLayersFirst = axes === "layers,tokens";
  found.forEach((inner, i) => {
    const { rows, columns, values } = jsonMatrix(document, [key, i], inner, isLayersFirst ? "token" : "layer");
    for (let j = 0; j < rows; j++) {
      const layer = `layer ${isLayersFirst ? i : j}`;
      const tokens = layers.get(layer) ?? { rows: [] };
      tokens.rows.push({ ids: values.subarray(j * columns, (j + 1) * columns), place: `${name} at [${i}, ${j}]` });
      layers.set(layer, tokens);
    }
  });
  return layersOf(name, layers, sizes, notes);
}

function fromCounts(document: JsonDocument, layers: [string, unknown][], sizes: RecordedSizes): RecordedLoads {
  const loads = layers.map(([layer, found]) => {
    const path = ["layers", layer, "cnt"];
    const place = () => document.place(path);
    const { values } = jsonMatrix({ ...document, place }, path, [(found as Fields)["cnt"]], "layer");
    const bad = values.find((count) => !(count >= 0 && count < Number.POSITIVE_INFINITY));
    if (bad !== undefined) throw dataError(place(), `a count of ${bad}; expected a number, 0 or more`);
    return values;
  });
  const experts = sizes.experts ?? loads[0]!.length;
  const other = loads.findIndex((load) => load.length !== experts);
  if (other !== -1) {
    throw dataError(
      document.place(["layers", layers[other]![0]]),
      `has ${loads[other]!.length} counts, not ${experts}`,
    );
  }
  return { kind: "loads", experts, names: layers.map(([layer]) => `layer ${layer}`), loads, notes: [] };
}
