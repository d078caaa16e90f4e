/** The bytes that a command is given: a file, plain or gzipped, or standard input. */
import { readFileSync, statSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { DataError } from "../data/source.ts";

/** Texts much larger than this do not fit into a string. */
const MOST_BYTES = 400e6;

/** How messages call standard input. */
const STANDARD_INPUT = "standard input";

export interface InputFile {
  /** For messages. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** @param path a file, or "-" for standard input @throws DataError */
export function readInput(path: string): InputFile {
  const name = path === "-" ? STANDARD_INPUT : path;
  try {
    if (path !== "-") {
      const status = statSync(path);
      if (status.isDirectory()) throw new DataError(`${name}: is a folder; name a file in it`);
      refuseHuge(name, status.size);
    }
    const bytes = readFileSync(path === "-" ? 0 : path);
    refuseHuge(name, bytes.length);
    const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return { name, bytes: isGzip ? gunzipSync(bytes, { maxOutputLength: MOST_BYTES }) : bytes };
  } catch (error) {
    if (error instanceof DataError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new DataError(`${name}: there is no such file; give a path, or - for standard input`);
    if (code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(name, "unpacked it is more than");
    throw new DataError(`${name}: cannot be read (${code ?? message})`);
  }
}

function refuseHuge(name: string, size: number): void {
  if (size > MOST_BYTES) throw tooLarge(name, `has ${Math.round(size / 1e6)} MB, more than`);
}

const tooLarge = (name: string, has: string): DataError =>
  new DataError(`${name}: ${has} the ${MOST_BYTES / 1e6} MB that are read at once; give a part of its tokens`);
