/**
 * What one core of this machine can do in 128-bit SIMD, in GFLOP/s: as many multiplications and additions as fit, on
 * registers alone, without loads. The ceiling of WebAssembly; native code has wider registers.
 */
import { setTimeout } from "node:timers/promises";
import { webAssembly } from "../../src/engine/wasm/webassembly.ts";

/** Named by a variable, so that the compiler's own globals stay out of the types of this project. */
const COMPILER: string = "assemblyscript/asc";

interface Compiler {
  main(
    args: readonly string[],
    files: {
      readFile(name: string): string | null;
      writeFile(name: string, contents: Uint8Array | string): void;
      listFiles(): string[];
    },
  ): Promise<{ readonly error: Error | null }>;
}

const CHAINS = 6;
const TURNS = 100_000;
const FLOATS_IN_A_VECTOR = 4;

/** Sums and products in chains of their own, enough of them to hide how long one operation takes. */
function source(): string {
  const chains = Array.from({ length: CHAINS }, (_, i) => i);
  return `
    export function run(turns: i32): f32 {
      const step = f32x4.splat(1e-9), factor = f32x4.splat(0.999999);
      ${chains.map((i) => `let a${i} = f32x4.splat(${i}), m${i} = f32x4.splat(${i + 1});`).join("\n")}
      for (let turn = 0; turn < turns; turn++) {
        ${chains.map((i) => `a${i} = f32x4.add(a${i}, step); m${i} = f32x4.mul(m${i}, factor);`).join("\n")}
      }
      return f32x4.extract_lane(${chains.reduce((sum, i) => `f32x4.add(${sum}, f32x4.add(a${i}, m${i}))`, "step")}, 0);
    }`;
}

/** The best of many short runs: what else the machine does only takes away. */
export async function simdPeak(): Promise<number> {
  let binary: Uint8Array | undefined;
  const { default: asc } = (await import(COMPILER)) as { readonly default: Compiler };
  const { error } = await asc.main(["peak.ts", "-o", "peak.wasm", "-O3", "--runtime", "stub", "--enable", "simd"], {
    readFile: (name) => (name === "peak.ts" ? source() : null),
    writeFile: (_name, contents) => {
      if (typeof contents !== "string") binary = contents;
    },
    listFiles: () => [],
  });
  if (error || binary === undefined) throw error ?? new Error("the peak's kernel was not built");
  const instance = new webAssembly.Instance(new webAssembly.Module(binary), {});
  const { run } = instance.exports as { run(turns: number): number };
  for (let i = 0; i < 50; i++) run(TURNS);
  await setTimeout(300); // the optimizing compiler works in the background
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    run(TURNS);
    best = Math.min(best, performance.now() - start);
  }
  return (2 * CHAINS * FLOATS_IN_A_VECTOR * TURNS) / best / 1e6;
}
