/** What the bytes of a file are, as far as their beginning tells. */
import { dataError } from "./matrix.ts";

/** Beginnings of files that people take for arrays, and what to do with them. */
const others: readonly { readonly magic: readonly number[]; readonly what: string }[] = [
  {
    magic: [0x50, 0x4b, 0x03, 0x04],
    what: "a zip archive, as .npz and torch's .pt are: save one array with numpy.save",
  },
  { magic: [0x89, 0x48, 0x44, 0x46], what: "an HDF5 file: save the array with numpy.save" },
  { magic: [0x50, 0x41, 0x52, 0x31], what: "a Parquet file: save the table as CSV" },
];

/** Protocols 2 to 5 begin with their number; older ones have no beginning of their own. */
export const isPickle = (bytes: Uint8Array): boolean => bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5;

/** @param expected what could be read, for messages @throws DataError when it is not text */
export function textOf(name: string, bytes: Uint8Array, expected: string): string {
  if (bytes.length === 0) throw dataError(name, `is empty; expected ${expected}`);
  const known = others.find(({ magic }) => magic.every((byte, i) => bytes[i] === byte));
  if (known !== undefined) throw dataError(name, `is ${known.what}`);
  if (isPickle(bytes)) throw dataError(name, "is a Python pickle: save the array with numpy.save");
  const hasZero = bytes.subarray(0, 4096).includes(0);
  const text = hasZero ? undefined : decoded(bytes);
  if (text === undefined) throw dataError(name, `is neither text nor .npy; expected ${expected}`);
  if (text.trim() === "") throw dataError(name, `is empty; expected ${expected}`);
  return text;
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export const isJson = (text: string): boolean => /^\ufeff?\s*[[{]/.test(text);
