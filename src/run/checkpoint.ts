/** Checkpoints: everything a run needs to go on as if it had never stopped, in one file that is whole or absent. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import { writeWhole } from "../host/whole-file.ts";
import type { SimulationState } from "../simulate.ts";

export interface Checkpoint {
  /** Index of the variant that goes on. */
  readonly variant: number;
  /** Its state; absent at its beginning. */
  readonly state?: SimulationState;
  /** Fingerprints of every variant's text. */
  readonly texts: readonly string[];
  /** What computed each variant so far. */
  readonly engines: Readonly<Record<string, string>>;
  /** Length in bytes of each result file at this moment; what lies beyond was written after it. */
  readonly positions: Readonly<Record<string, number>>;
}

const FORMAT = "moge-checkpoint-6";
const DIGEST_BYTES = 32;
const HEAD_LENGTH_BYTES = 4;

/** Arrays of the engine with a number for every parameter. */
const LARGE = ["parameters", "firstMoment", "secondMoment"] as const;

export const CHECKPOINT_FILE = "checkpoint.bin";
const pathIn = (directory: string) => join(directory, CHECKPOINT_FILE);

/**
 * Layout: the format's name, the sha256 of the rest, the length of the head, the head as V8 serialises it, and the
 * engine's large arrays as they lie in memory: another copy of them would be garbage that malloc does not give back.
 */
export function writeCheckpoint(directory: string, { state, ...rest }: Checkpoint): void {
  const arrays = state === undefined ? [] : LARGE.map((name) => state.engine[name]);
  const bare = state && {
    ...state,
    engine: { ...state.engine, ...Object.fromEntries(LARGE.map((name) => [name, 0])) },
  };
  const head = serialize({ ...rest, ...(bare && { state: bare }) });
  const parts = [Uint32Array.of(head.length), head, ...arrays];
  writeWhole(pathIn(directory), FORMAT, sha256(...parts), ...parts);
}

/** The checkpoint of a directory: undefined if there is none, a sentence if there is one that cannot be used. */
export function readCheckpoint(directory: string): Checkpoint | string | undefined {
  if (!existsSync(pathIn(directory))) return undefined;
  if (!statSync(pathIn(directory)).isFile()) return `${pathIn(directory)} is damaged`;
  const file = readFileSync(pathIn(directory));
  const at = FORMAT.length + DIGEST_BYTES;
  if (file.subarray(0, FORMAT.length).toString() !== FORMAT) return `${pathIn(directory)} is from another version`;
  const body = file.subarray(at);
  if (!sha256(body).equals(file.subarray(FORMAT.length, at))) return `${pathIn(directory)} is damaged`;
  const headEnd = HEAD_LENGTH_BYTES + new Uint32Array(copyOf(body.subarray(0, HEAD_LENGTH_BYTES)))[0]!;
  try {
    return withLarge(deserialize(body.subarray(HEAD_LENGTH_BYTES, headEnd)) as Checkpoint, body.subarray(headEnd));
  } catch {
    return `${pathIn(directory)} was written by another version of Node`;
  }
}

/** @param bytes of the large arrays, which are equally long */
function withLarge({ state, ...rest }: Checkpoint, bytes: Uint8Array): Checkpoint {
  if (state === undefined) return rest;
  const length = bytes.length / LARGE.length;
  const arrays = LARGE.map((name, i) => [name, new Float32Array(copyOf(bytes.subarray(i * length, (i + 1) * length)))]);
  return { ...rest, state: { ...state, engine: { ...state.engine, ...Object.fromEntries(arrays) } } };
}

/** Of memory of its own, aligned to anything. */
const copyOf = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

function sha256(...parts: readonly NodeJS.ArrayBufferView[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}
