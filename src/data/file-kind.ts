/** What the bytes of a file are, as far as their beginning tells. */
import { dataError } from "./matrix.ts";

/** Beginnings of files that people take for arrays, and what to do with them. */
const others: readonly { readonly magic: string; readonly at?: number; readonly what: string }[] = [
  { magic: "PK\x03\x04", what: "a zip archive, as .npz and torch's .pt are: save one array with numpy.save" },
  { magic: "\x89HDF", what: "an HDF5 file: save the array with numpy.save" },
  { magic: "PAR1", what: "a Parquet file: save the table as CSV" },
  { magic: "ARROW1", what: "an Arrow file: save the table as CSV" },
  { magic: "GGUF", what: "a GGUF file: save one array with numpy.save" },
  { magic: "SQLite format 3", what: "an SQLite database: save the table as CSV" },
  { magic: '\0\0{"', at: 6, what: "a safetensors file: save one array with numpy.save" }, // the length of a header first
  { magic: "\x28\xb5\x2f\xfd", what: "packed by zstd: unpack it, or pack it by gzip" },
  { magic: "BZh", what: "packed by bzip2: unpack it, or pack it by gzip" },
  { magic: "\xfd7zXZ", what: "packed by xz: unpack it, or pack it by gzip" },
];

const startsWith = (bytes: Uint8Array, magic: string, at = 0): boolean =>
  [...magic].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));

/** Protocols 2 to 5 begin with their number; older ones have no beginning of their own. */
export const isPickle = (bytes: Uint8Array): boolean => bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5;

/** @param expected what could be read, for messages @throws DataError when it is not text */
export function textOf(name: string, bytes: Uint8Array, expected: string): string {
  if (bytes.length === 0) throw dataError(name, `is empty; expected ${expected}`);
  const known = others.find(({ magic, at }) => startsWith(bytes, magic, at));
  if (known !== undefined) throw dataError(name, `is ${known.what}`);
  if (isPickle(bytes)) throw dataError(name, "is a Python pickle: save the array with numpy.save");
  const isWide = startsWith(bytes, "\xff\xfe"); // as Windows writes text
  const hasZero = !isWide && bytes.subarray(0, 4096).includes(0);
  const text = hasZero ? undefined : decoded(bytes, isWide ? "utf-16le" : "utf-8");
  if (text === undefined) throw dataError(name, `is neither text nor .npy; expected ${expected}`);
  if (text.trim() === "") throw dataError(name, `is empty; expected ${expected}`);
  return text;
}

function decoded(bytes: Uint8Array, encoding: string): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export const isJson = (text: string): boolean => /^\ufeff?\s*[[{]/.test(text);
