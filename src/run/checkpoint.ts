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

const FORMAT = "moge-checkpoint-5";
const DIGEST_BYTES = 32;

export const CHECKPOINT_FILE = "checkpoint.bin";
const pathIn = (directory: string) => join(directory, CHECKPOINT_FILE);

/** Layout: the format's name, the sha256 of the rest, the rest as V8 serialises it. */
export function writeCheckpoint(directory: string, checkpoint: Checkpoint): void {
  const body = serialize(checkpoint);
  writeWhole(pathIn(directory), Buffer.concat([Buffer.from(FORMAT), sha256(body), body]));
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
  try {
    return deserialize(body) as Checkpoint;
  } catch {
    return `${pathIn(directory)} was written by another version of Node`;
  }
}

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();
