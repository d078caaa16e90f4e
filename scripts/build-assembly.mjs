/**
 * Builds the kernels of assembly/ to dist/wasm/<plain|relaxed>.<shared|single>.wasm: with and without fused
 * multiply-add, for a memory shared by worker threads and for one thread where pages have no shared memory; those
 * that route large batches, which are plain alone, to routing.<shared|single>.wasm; and those that route the page's
 * batch, which has one thread, to batch.single.wasm.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import { tiles } from "./gemm-tiles.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
mkdirSync(new URL("../dist/wasm", import.meta.url), { recursive: true });

const common = ["-O3", "--noAssert", "--runtime", "stub", "--importMemory", "--initialMemory", "1", "--enable", "simd"];
const kernels = {
  plain: ["assembly/kernels.ts"],
  relaxed: ["assembly/kernels.ts", "--enable", "relaxed-simd"],
  routing: ["assembly/routing.ts"],
  batch: ["assembly/batch.ts"],
};
const memories = { shared: ["--enable", "threads", "--sharedMemory", "--maximumMemory", "65536"], single: [] };

/** The sources, and the one that is written here rather than by hand. */
function readFile(name, directory) {
  if (name === "assembly/tiles.ts") return tiles();
  const path = join(directory, name);
  return existsSync(path) ? readFileSync(path, "utf8") : null;
}

for (const [kernel, kernelFlags] of Object.entries(kernels)) {
  for (const [memory, memoryFlags] of Object.entries(memories)) {
    if (kernel === "batch" && memory === "shared") continue;
    const output = `dist/wasm/${kernel}.${memory}.wasm`;
    const flags = ["--baseDir", root, ...common, ...kernelFlags, ...memoryFlags];
    const { error, stderr } = await asc.main(["--outFile", output, ...flags], { readFile });
    if (error) {
      console.error(`${output}: ${error.message}\n${stderr.toString()}`);
      process.exit(1);
    }
  }
}
