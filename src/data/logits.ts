/**
 * A batch of router logits that a person handed in, with what else the file says of its tokens: JSON, a table of
 * text, or .npy. What a file is, its first bytes say.
 */
import type { Floats } from "../core/floats.ts";
import { plainName, roleOf } from "./column-roles.ts";
import { isJson, textOf } from "./file-kind.ts";
import {
  documentOfLine,
  isJsonLines,
  type JsonDocument,
  jsonMatrix,
  type Path,
  parseJsonDocument,
  readJsonLines,
} from "./json-document.ts";
import { counted, dataError, type Matrix } from "./matrix.ts";
import { isNpy, npyMatrix, parseNpy } from "./npy.ts";
import { columnsLeftOut, readNumberTable } from "./number-table.ts";

export interface LogitsFile {
  /** Rows are tokens, columns experts. No NaN and no +∞; −∞ is allowed while a token has a finite logit. */
  readonly logits: Matrix<Floats>;
  /** [N] a selection bias */
  readonly bias?: Float64Array | undefined;
  /** [T] number of each token's domain, and the names of the domains */
  readonly domains?: Domains | undefined;
  /** [T] */
  readonly tokenIds?: Float64Array | undefined;
  /** [T, N] the second projection of learned noise */
  readonly rawNoise?: Float64Array | undefined;
  /** What was assumed about the file, for a person. */
  readonly notes: readonly string[];
}

export interface Domains {
  readonly names: readonly string[];
  readonly of: Int32Array;
}

/** @param name of the file, for messages @throws DataError */
export function parseLogits(name: string, bytes: Uint8Array): LogitsFile {
  const file = parse(name, bytes);
  checkLogits(file.logits);
  return file;
}

function parse(name: string, bytes: Uint8Array): LogitsFile {
  if (isNpy(bytes)) return fromNpy(name, bytes);
  const text = textOf(name, bytes, "logits as JSON, as a table of text or as .npy");
  if (isJsonLines(text)) return fromLines(name, text);
  return isJson(text) ? fromJson(parseJsonDocument(name, text)) : fromTable(name, text);
}

function fromNpy(name: string, bytes: Uint8Array): LogitsFile {
  const array = parseNpy(name, bytes);
  if (array.type === "u2") {
    throw dataError(
      name,
      'holds whole numbers of 16 bits, u2, as bfloat16 looks without its type: save (x.astype("uint32") << 16).view("float32"), or what are numbers indeed with .astype("float32")',
    );
  }
  return { logits: npyMatrix(name, array), notes: [] };
}

/** The second one is that of transformers. */
const logitKeys = ["logits", "router_logits"] as const;
const keys = [...logitKeys, "bias", "domains", "tokenIds", "rawNoise"] as const;

/** JSON lines: the logits of a token each, or of several. */
function fromLines(name: string, text: string): LogitsFile {
  const lines = readJsonLines(name, text).map((line) => {
    const document = documentOfLine(name, line);
    const fields = (line.value ?? {}) as Readonly<Record<string, unknown>>;
    const key = logitKeys.find((each) => each in fields);
    if (key === undefined) throw dataError(document.place([]), 'has no key "logits"');
    const found = fields[key];
    const rows = Array.isArray(found) && !Array.isArray(found[0]) ? [found] : found;
    const layerKey = Object.keys(fields).find((each) => roleOf(each) === "layer");
    return { document, layer: layerKey && fields[layerKey], logits: jsonMatrix(document, [key], rows, "token") };
  });
  const [first] = lines as [(typeof lines)[0], ...typeof lines];
  const { columns } = first.logits;
  for (const { document, layer, logits } of lines) {
    if (layer !== first.layer) {
      throw dataError(document.place([]), "another layer than in the first line; give the lines of one layer");
    }
    if (logits.columns === columns) continue;
    throw dataError(document.place([]), `${counted(logits.columns, "logit")}, where the first line has ${columns}`);
  }
  const lineOf = lines.flatMap(({ document, logits }) => new Array<JsonDocument>(logits.rows).fill(document));
  const values = new Float64Array(lineOf.length * columns);
  let at = 0;
  for (const { logits } of lines) {
    values.set(logits.values, at);
    at += logits.values.length;
  }
  return { logits: { rows: lineOf.length, columns, values, place: (row) => lineOf[row]!.place([]) }, notes: [] };
}

function fromJson(document: JsonDocument): LogitsFile {
  const { value, place } = document;
  if (Array.isArray(value)) return { logits: jsonMatrix(document, [], value, "token"), notes: [] };
  const object = value as Readonly<Record<string, unknown>>;
  const key = logitKeys.find((each) => each in object);
  if (key === undefined) {
    const has = Object.keys(object).slice(0, 5).join(", ") || "none";
    throw dataError(
      place([]),
      `has no key "logits" (its keys: ${has}); expected a nested array, or an object with "logits"`,
    );
  }
  const logits = jsonMatrix(document, [key], object[key], "token");
  const numbers = (key: string, length: number, each: string) =>
    object[key] === undefined || object[key] === null ? undefined : vector(document, [key], object[key], length, each);
  const rawNoise =
    object["rawNoise"] == null ? undefined : jsonMatrix(document, ["rawNoise"], object["rawNoise"], "token");
  if (rawNoise !== undefined && (rawNoise.rows !== logits.rows || rawNoise.columns !== logits.columns)) {
    const [is, wanted] = [rawNoise, logits].map(({ rows, columns }) => `[${rows}, ${columns}]`);
    throw dataError(place(["rawNoise"]), `has the shape ${is}; expected that of the logits, ${wanted}`);
  }
  const unknown = Object.keys(object).filter((key) => !(keys as readonly string[]).includes(key));
  return {
    logits,
    bias: numbers("bias", logits.columns, "expert"),
    tokenIds: wholeIds(numbers("tokenIds", logits.rows, "token"), (t) => place(["tokenIds", t])),
    domains:
      object["domains"] == null ? undefined : domainsOf(labels(document, ["domains"], object["domains"], logits.rows)),
    rawNoise: rawNoise?.values,
    notes: unknown.length === 0 ? [] : [`keys that are not used: ${unknown.join(", ")}`],
  };
}

function list({ place }: JsonDocument, path: Path, found: unknown, length: number, each: string): unknown[] {
  if (!Array.isArray(found)) throw dataError(place(path), `expected an array, one entry for each ${each}`);
  if (found.length === length) return found as unknown[];
  throw dataError(
    place(path),
    `has ${counted(found.length, "entry", "entries")}; expected ${length}, one for each ${each}`,
  );
}

function vector(document: JsonDocument, path: Path, found: unknown, length: number, each: string): Float64Array {
  return Float64Array.from(list(document, path, found, length, each), (cell, i) => {
    if (typeof cell === "number" && Number.isFinite(cell)) return cell;
    throw dataError(document.place([...path, i]), `expected a finite number, not ${JSON.stringify(cell)}`);
  });
}

function labels(document: JsonDocument, path: Path, found: unknown, length: number): string[] {
  return list(document, path, found, length, "token").map((cell, i) => {
    if (typeof cell === "string" || typeof cell === "number") return String(cell);
    throw dataError(document.place([...path, i]), `expected the name of a domain, not ${JSON.stringify(cell)}`);
  });
}

/** Numbered in the order in which they come; whole numbers keep their order. */
export function domainsOf(labelOf: readonly string[]): Domains {
  const names = [...new Set(labelOf)];
  if (names.every((name) => /^\d+$/.test(name))) names.sort((a, b) => Number(a) - Number(b));
  const numbers = new Map(names.map((name, i) => [name, i]));
  return { names, of: Int32Array.from(labelOf, (label) => numbers.get(label)!) };
}

type Kind = "expert" | "index" | "layer" | "tokenId" | "domain" | "other";

const tokenKinds: Readonly<Record<string, Kind>> = {
  tokenid: "tokenId",
  inputid: "tokenId",
  domain: "domain",
  topic: "domain",
};

/** What each column is. Where some have numbers, such as expert_0, these are the experts and no other is. */
function kindsOf(header: readonly string[]): readonly Kind[] {
  const endsInNumber = (column: string) => /^\p{L}*\d+$/u.test(plainName(column));
  const isNumbered = header.some(endsInNumber);
  return header.map((column) => {
    const name = plainName(column);
    const role = roleOf(column);
    if (tokenKinds[name] !== undefined) return tokenKinds[name];
    if (role === "token" || role === "index" || (isNumbered && (role === "sequence" || role === "step")))
      return "index";
    if (role === "layer") return "layer";
    return !isNumbered || endsInNumber(column) ? "expert" : "other";
  });
}

function fromTable(name: string, text: string): LogitsFile {
  const table = readNumberTable(name, text);
  const { header = [] } = table;
  const kinds = table.header === undefined ? new Array<Kind>(table.columns).fill("expert") : kindsOf(header);
  if (header.some((column) => roleOf(column) === "expert")) {
    throw dataError(name, "has a row a logit; expected a row a token, with a column for each expert: pivot the table");
  }
  const experts = kinds.flatMap((kind, column) => (kind === "expert" ? [column] : []));
  if (experts.length === 0) throw dataError(table.place(0, 0), "has no column of logits, only names of tokens");
  const layerColumn = kinds.indexOf("layer");
  const values = new Float64Array(table.rows * experts.length);
  const tokenIds: number[] = [];
  const domains: string[] = [];
  for (let row = 0; row < table.rows; row++) {
    const cells = table.cells(row);
    if (cells.length !== table.columns) {
      const is = `${counted(cells.length, "cell")}, where the first line has ${table.columns}`;
      throw dataError(
        table.place(row, Math.min(cells.length, table.columns)),
        `${is}; give every token one number for each expert`,
      );
    }
    if (layerColumn !== -1 && cells[layerColumn] !== table.cells(0)[layerColumn]) {
      throw dataError(table.place(row, layerColumn), "another layer than in the first row; give the rows of one layer");
    }
    experts.forEach((column, e) => {
      values[row * experts.length + e] = table.number(row, column, cells[column]!);
    });
    cells.forEach((cell, column) => {
      if (kinds[column] === "tokenId") tokenIds.push(table.number(row, column, cell));
      else if (kinds[column] === "domain") domains.push(cell);
    });
  }
  const place = (row: number, column: number) => table.place(row, experts[column]!);
  const notes: string[] = [];
  if (kinds.includes("index")) notes.push("the column that numbers the tokens is not a logit and is left out");
  const known = kinds.flatMap((kind, column) => (kind === "layer" || kind === "other" ? [] : [column]));
  notes.push(...columnsLeftOut(header, known));
  const first = Array.from({ length: experts.length }, (_, e) => values[e]);
  if (table.header === undefined && table.rows > 1 && first.length > 2 && first.every((value, e) => value === e)) {
    notes.push("the first line, 0, 1, 2, …, is taken for logits; remove it if it numbers the experts");
  }
  return {
    logits: { rows: table.rows, columns: experts.length, values, place },
    tokenIds: wholeIds(tokenIds.length > 0 ? Float64Array.from(tokenIds) : undefined, (t) =>
      table.place(t, kinds.indexOf("tokenId")),
    ),
    domains: domains.length > 0 ? domainsOf(domains) : undefined,
    notes,
  };
}

function wholeIds(ids: Float64Array | undefined, place: (token: number) => string): Float64Array | undefined {
  const bad = ids?.findIndex((id) => !Number.isSafeInteger(id) || id < 0) ?? -1;
  if (bad === -1) return ids;
  throw dataError(place(bad), `the id of token ${bad} is ${ids![bad]}; expected a whole number, 0 or more`);
}

function checkLogits({ rows, columns, values, place }: Matrix<Floats>): void {
  for (let t = 0; t < rows; t++) {
    let isMasked = true;
    for (let e = 0; e < columns; e++) {
      const value = values[t * columns + e]!;
      if (Number.isNaN(value) || value === Number.POSITIVE_INFINITY) {
        const what = Number.isNaN(value) ? "NaN" : "infinite";
        throw dataError(
          place(t, e),
          `the logit of token ${t} for expert ${e} is ${what}; logits are finite, or -Infinity for an expert that is masked`,
        );
      }
      if (value !== Number.NEGATIVE_INFINITY) isMasked = false;
    }
    if (isMasked) throw dataError(place(t, 0), `all logits of token ${t} are -Infinity; leave one expert to it`);
  }
}
