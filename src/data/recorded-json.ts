/** Recorded routing in JSON: `{experts, weights?, domains?}` of tokens, or the loads that SGLang and others write. */
import { type JsonDocument, jsonMatrix, type Path } from "./json-document.ts";
import { domainsOf } from "./logits.ts";
import { counted, dataError, type Matrix } from "./matrix.ts";
import { assignmentOf, type RecordedAssignment, type RecordedLoads, type RecordedSizes } from "./recording.ts";

export type Fields = Readonly<Record<string, unknown>>;

/** Names that programs give the ids of chosen experts, the weights, and loads. */
export const expertKeys = ["experts", "topk_ids", "top_indices", "indices", "selected_experts"];
export const weightKeys = ["weights", "topk_weights", "scores", "selected_probs"];
const loadKeys = ["load", "loads", "logical_count", "expert_load", "counts"];

export const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
export const keyIn = (fields: Fields, keys: readonly string[]) => keys.find((key) => Array.isArray(fields[key]));

/** Undefined when the document holds no loads. [N], [layers, N] or [steps, layers, N], steps being added up. */
export function loadsFromJson(document: JsonDocument, sizes: RecordedSizes): RecordedLoads | undefined {
  const fields = fieldsOf(document.value);
  const key = keyIn(fields, loadKeys);
  if (key === undefined || keyIn(fields, expertKeys) !== undefined) return undefined;
  const found = fields[key] as unknown[];
  const isDeep = Array.isArray(found[0]) && Array.isArray((found[0] as unknown[])[0]);
  const matrices = isDeep
    ? found.map((step, s) => checkedLoads(jsonMatrix(document, [key, s], step, "layer")))
    : [
        checkedLoads(
          Array.isArray(found[0]) ? jsonMatrix(document, [key], found, "layer") : oneRow(document, key, found),
        ),
      ];
  const { rows, columns } = matrices[0]!;
  const unequal = matrices.findIndex((matrix) => matrix.rows !== rows || matrix.columns !== columns);
  if (unequal !== -1) throw dataError(document.place([key, unequal]), "has another shape than the first step");
  const loads = Array.from({ length: rows }, (_, layer) =>
    Float64Array.from({ length: columns }, (_, i) =>
      matrices.reduce((sum, { values }) => sum + values[layer * columns + i]!, 0),
    ),
  );
  if (sizes.experts !== undefined && sizes.experts !== columns) {
    throw dataError(
      document.place([key]),
      `has ${counted(columns, "load")} a layer, but --experts says ${sizes.experts}`,
    );
  }
  const names = loads.map((_, layer) => `layer ${layer}`);
  const notes = isDeep ? [`${counted(matrices.length, "step")} added up`] : [];
  return { kind: "loads", experts: columns, names, loads, notes };
}

function oneRow(document: JsonDocument, key: string, found: unknown[]): Matrix {
  return jsonMatrix({ ...document, place: (path) => document.place([key, ...path.slice(2)]) }, [key], [found], "layer");
}

function checkedLoads(matrix: Matrix): Matrix {
  const bad = matrix.values.findIndex((value) => !(value >= 0 && value < Number.POSITIVE_INFINITY));
  if (bad === -1) return matrix;
  const where = matrix.place(Math.floor(bad / matrix.columns), bad % matrix.columns);
  throw dataError(where, `a load of ${matrix.values[bad]}; expected a number, 0 or more`);
}

/** @throws DataError when the document holds no chosen experts */
export function assignmentFromJson(name: string, document: JsonDocument, sizes: RecordedSizes): RecordedAssignment {
  const fields = fieldsOf(document.value);
  const key = keyIn(fields, expertKeys);
  if (key === undefined && !Array.isArray(document.value)) {
    if (Array.isArray(fields["physical_to_logical_map"])) {
      throw dataError(document.place([]), "says which slot holds which expert: moge place LOADS --given reads it");
    }
    const has = Object.keys(fields).slice(0, 5).join(", ") || "none";
    throw dataError(
      document.place([]),
      `has neither "experts" nor "load" (its keys: ${has}); expected one of them, a nested array`,
    );
  }
  const path: Path = key === undefined ? [] : [key];
  const ids = jsonMatrix(document, path, key === undefined ? document.value : fields[key], "token");
  const weightKey = keyIn(fields, weightKeys);
  const weights = weightKey === undefined ? undefined : jsonMatrix(document, [weightKey], fields[weightKey], "token");
  if (weights !== undefined && (weights.rows !== ids.rows || weights.columns !== ids.columns)) {
    const [is, wanted] = [weights, ids].map(({ rows, columns }) => `[${rows}, ${columns}]`);
    throw dataError(document.place([weightKey!]), `has the shape ${is}; expected that of the experts, ${wanted}`);
  }
  const bad = weights?.values.findIndex((value) => !Number.isFinite(value)) ?? -1;
  if (bad !== -1) {
    const [row, column] = [Math.floor(bad / ids.columns), bad % ids.columns];
    throw dataError(weights!.place(row, column), `the weight ${weights!.values[bad]}; expected a finite number`);
  }
  const given = fields["shape"] as { readonly experts?: unknown } | undefined;
  const experts = sizes.experts ?? (typeof given?.experts === "number" ? given.experts : undefined);
  const read = assignmentOf(name, ids, weights?.values, { ...sizes, experts });
  const labels = fields["domains"];
  if (labels == null) return read;
  if (!Array.isArray(labels) || labels.length !== ids.rows) {
    throw dataError(document.place(["domains"]), `expected an array of ${ids.rows} domains, one for each token`);
  }
  return { ...read, domains: domainsOf(labels.map(String)) };
}
