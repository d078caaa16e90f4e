/** What a schema finds wrong with a config, in the words of its reader: where, what was expected, what was meant. */
import * as z from "zod/mini";
import { isTree, join, type Layer, originOf, valueAt } from "./layers.ts";
import { didYouMean, type Problem } from "./problem.ts";

type Issue = z.core.$ZodIssue;

/** @param schema that the layer was checked by */
export function problemsOf(issue: Issue, schema: z.ZodMiniType, layer: Layer): Problem[] {
  const path = issue.path.map(String).join(".");
  const value = valueAt(layer.tree, issue.path); // by its parts: a key of a sweep's grid has dots of its own
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(schema, issue.path, value);
    return issue.keys.map((key) => ({
      where: originOf(layer, join(path, key)),
      key: join(path, key),
      message: `unknown key${didYouMean(key, known) || (known.length > 0 ? `; known are ${known.join(", ")}` : "")}`,
    }));
  }
  const branch = issue.code === "invalid_union" && isTree(value) ? nearestBranch(issue) : [];
  if (branch.length > 0) {
    return branch.flatMap((inner) => problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, schema, layer));
  }
  return [{ where: originOf(layer, path), key: path, message: describeIssue(issue, value, schema) }];
}

/** Of a union's branches that are mappings too, what is wrong by the one that fits best; the first of equals. */
function nearestBranch(issue: z.core.$ZodIssueInvalidUnion): Issue[] {
  const isMapping = (branch: Issue[]) =>
    branch.every(({ code, path }) => path.length > 0 || code === "unrecognized_keys");
  return issue.errors.filter(isMapping).sort((a, b) => a.length - b.length)[0] ?? [];
}

/** What was wrong with one value, in words. */
function describeIssue(issue: Issue, value: unknown, schema: z.ZodMiniType): string {
  const got = value === undefined ? "it is missing" : `got ${written(value)}`;
  switch (issue.code) {
    case "invalid_type":
      return `expected ${typeNames[issue.expected] ?? issue.expected}, ${got}`;
    case "too_small":
    case "too_big": {
      const [bound, more] = issue.code === "too_small" ? [issue.minimum, "more than"] : [issue.maximum, "less than"];
      const least = issue.code === "too_small" ? "at least" : "at most";
      const entries = bound === 1 ? " entry" : " entries";
      const what = issue.origin === "array" || issue.origin === "string" ? entries : "";
      return `expected ${issue.inclusive ? least : more} ${bound}${what}, ${got}`;
    }
    case "invalid_value": {
      const options = issue.values.map(String);
      return `expected one of ${options.join(", ")}, ${got}${typeof value === "string" ? didYouMean(value, options) : ""}`;
    }
    case "invalid_format":
      return `expected ${issue.message}, ${got}`;
    case "invalid_union":
      return describeUnion(issue, value, schema, got);
    default:
      return `${issue.message || "is not valid"}, ${got}`;
  }
}

/** Letters of a wrong value that are enough to find it by. */
const MOST_LETTERS = 200;

function written(value: unknown): string {
  const whole = typeof value === "number" ? String(value) : JSON.stringify(value); // JSON has no word for infinity
  return whole.length <= MOST_LETTERS ? whole : `${whole.slice(0, MOST_LETTERS)}… (${whole.length} letters)`;
}

function describeUnion(
  issue: z.core.$ZodIssueInvalidUnion,
  value: unknown,
  schema: z.ZodMiniType,
  got: string,
): string {
  const options = issue.discriminator === undefined ? namesIn(issue) : knownValues(schema, issue.path);
  const guess = typeof value === "string" ? didYouMean(value, options) : "";
  const expected = options.length > 0 ? `one of ${options.join(", ")}` : kindsIn(issue).join(" or ");
  return expected ? `expected ${expected}, ${got}${guess}` : `does not fit, ${got}`;
}

const typeNames: Record<string, string> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  array: "a list",
  object: "keys and values",
  record: "keys and values",
};

/** The names that any branch of a failed union would have taken. */
function namesIn(issue: z.core.$ZodIssueInvalidUnion): string[] {
  const ofTheWhole = issue.errors.flat().filter(({ path }) => path.length === 0);
  return ofTheWhole.flatMap((inner) => (inner.code === "invalid_value" ? inner.values.map(String) : []));
}

/** What the branches of a failed union would have taken: "a number", "a list". */
function kindsIn(issue: z.core.$ZodIssueInvalidUnion): string[] {
  const kinds = issue.errors.map((branch) => {
    const [first] = branch;
    if (first?.code !== "invalid_type") return "";
    const kind = typeNames[first.expected] ?? first.expected;
    return first.path.length === 0 ? kind : `a list with ${kind} for each entry`;
  });
  return [...new Set(kinds.filter((kind) => kind !== ""))];
}

type JsonSchema = {
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  const?: unknown;
};

/** The parts of the JSON Schema that a path leads to; a union leads to all of its branches. */
function schemasAt(schema: z.ZodMiniType, path: readonly PropertyKey[]): JsonSchema[] {
  const branches = (at: JsonSchema): JsonSchema[] => [
    at,
    ...[...(at.anyOf ?? []), ...(at.oneOf ?? [])].flatMap(branches),
  ];
  return path.reduce<JsonSchema[]>(
    (at, key) =>
      at
        .flatMap((each) => (typeof key === "number" ? [each.items] : [each.properties?.[String(key)]]))
        .flatMap((each) => (each ? branches(each) : [])),
    branches(z.toJSONSchema(schema, { io: "input" }) as JsonSchema),
  );
}

/** The keys that a mapping could have; of a union, those of the branch that its discriminator names. */
function knownKeys(schema: z.ZodMiniType, path: readonly PropertyKey[], value: unknown): string[] {
  const fits = ({ properties = {} }: JsonSchema) =>
    Object.entries(properties).every(([key, { const: fixed }]) => fixed === undefined || fixed === valueAt(value, key));
  const known = schemasAt(schema, path)
    .filter(fits)
    .flatMap(({ properties }) => Object.keys(properties ?? {}));
  return [...new Set(known)];
}

const knownValues = (schema: z.ZodMiniType, path: readonly PropertyKey[]): string[] =>
  schemasAt(schema, path).flatMap((at) => (typeof at.const === "string" ? [at.const] : []));
