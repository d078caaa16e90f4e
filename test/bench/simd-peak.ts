/**
 * What one core of this machine can do in 128-bit SIMD, in GFLOP/s: as many multiplications and additions as fit, on
 * registers alone, without loads. The ceiling of WebAssembly; native code has wider registers.
 */
import { setTimeout } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
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

const TURNS = 100_000;
const FLOATS_IN_A_VECTOR = 4;

/** Operations in chains of their own: enough to hide how long one takes, few enough for the registers. */
interface Mix {
  readonly chains: number;
  /** Floating-point operations of a chain and lane in a turn. */
  readonly operations: number;
  readonly start: (i: number) => string;
  readonly turn: (i: number) => string;
}

const mixes: readonly Mix[] = [
  ...[4, 5, 6].map((chains) => ({
    chains,
    operations: 2,
    start: (i: number) => `let a${i} = f32x4.splat(${i}), m${i} = f32x4.splat(${i + 1});`,
    turn: (i: number) => `a${i} = f32x4.add(a${i}, step); m${i} = f32x4.mul(m${i}, factor);`,
  })),
  ...[8, 10, 12].map((chains) => ({
    chains,
    operations: 2,
    start: (i: number) => `let a${i} = f32x4.splat(${i}), m${i} = f32x4.splat(0);`,
    turn: (i: number) => `a${i} = f32x4.relaxed_madd(a${i}, factor, step);`,
  })),
];

function source({ chains, start, turn }: Mix): string {
  const each = (line: (i: number) => string) => Array.from({ length: chains }, (_, i) => line(i)).join("\n");
  const sum = Array.from({ length: chains }, (_, i) => `f32x4.add(a${i}, m${i})`);
  return `
    export function run(turns: i32): f32 {
      const step = f32x4.splat(1e-9), factor = f32x4.splat(0.999999);
      ${each(start)}
      for (let turn = 0; turn < turns; turn++) {
        ${each(turn)}
      }
      return f32x4.extract_lane(${sum.reduce((all, part) => `f32x4.add(${all}, ${part})`)}, 0);
    }`;
}

/** Of the mixes of sums and products, fused ones included where this machine has them, the fastest. */
export async function simdPeak(): Promise<number> {
  setFlagsFromString("--experimental-wasm-relaxed-simd"); // Node 20 hides it
  let peak = 0;
  for (const mix of mixes) peak = Math.max(peak, await peakOf(mix));
  return peak;
}

/** The best of many short runs: what else the machine does only takes away. */
async function peakOf(mix: Mix): Promise<number> {
  let binary: Uint8Array | undefined;
  const { default: asc } = (await import(COMPILER)) as { readonly default: Compiler };
  const features = ["--enable", "simd", "--enable", "relaxed-simd"];
  const { error } = await asc.main(["peak.ts", "-o", "peak.wasm", "-O3", ...features], {
    readFile: (name) => (name === "peak.ts" ? source(mix) : null),
    writeFile: (_name, contents) => {
      if (typeof contents !== "string") binary = contents;
    },
    listFiles: () => [],
  });
  if (error || binary === undefined) throw error ?? new Error("the peak's kernel was not built");
  if (!webAssembly.validate(binary)) return 0;
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
  return (mix.operations * mix.chains * FLOATS_IN_A_VECTOR * TURNS) / best / 1e6;
}
