/** Reads the wasm kernels that `npm run build` has made. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageDirectory } from "./package-directory.ts";

/** @param name of a file of dist/wasm @throws Error if it is not built */
export function readKernels(name: string): Uint8Array {
  const path = join(packageDirectory(), "dist", "wasm", name);
  if (!existsSync(path))
    throw new Error(`the wasm kernels are not built: dist/wasm/${name} is missing; run npm run build`);
  return readFileSync(path);
}
