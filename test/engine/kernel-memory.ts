/** A wasm memory for tests of single kernels: puts arrays in, gives their addresses, reads results out. */
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { Arena } from "../../src/engine/wasm/arena.ts";
import { type Address, GEMM_SCRATCH_BYTES, instantiateKernels, type Kernels } from "../../src/engine/wasm/kernels.ts";
import { webAssembly } from "../../src/engine/wasm/webassembly.ts";

const PAGES = 64;
const kernelFile = (name: string) => readFileSync(new URL(`../../dist/wasm/${name}.wasm`, import.meta.url));

// Node 20 hides relaxed SIMD behind a flag.
if (!webAssembly.validate(kernelFile("relaxed.single"))) setFlagsFromString("--experimental-wasm-relaxed-simd");

/** The builds of the kernels that this machine can run. */
export const builds = ["plain.single", "plain.shared", "relaxed.single", "relaxed.shared"].filter((build) =>
  webAssembly.validate(kernelFile(build)),
);

export class KernelMemory {
  readonly kernels: Kernels;
  readonly scratch: Address;
  private readonly buffer: ArrayBufferLike;
  private readonly arena = new Arena();

  constructor(build = "plain.single") {
    const shared = build.endsWith("shared");
    const memory = new webAssembly.Memory({ initial: PAGES, maximum: PAGES, shared });
    this.buffer = memory.buffer;
    this.kernels = instantiateKernels(new webAssembly.Module(kernelFile(build)), memory);
    this.scratch = this.arena.bytes(GEMM_SCRATCH_BYTES);
  }

  /** Copies float32 values in; a guard word behind them shows whether a kernel wrote too far. */
  floats(values: ArrayLike<number>): Address {
    const address = this.arena.words(values.length + 1);
    const view = new Float32Array(this.buffer, address, values.length + 1);
    view.set(values);
    view[values.length] = GUARD;
    return address;
  }

  integers(values: ArrayLike<number>): Address {
    const address = this.arena.words(values.length);
    new Int32Array(this.buffer, address, values.length).set(values);
    return address;
  }

  bytes(values: ArrayLike<number>): Address {
    const address = this.arena.bytes(values.length);
    new Uint8Array(this.buffer, address, values.length).set(values);
    return address;
  }

  /** Throws if the guard behind the array is gone. */
  read(address: Address, count: number): Float64Array {
    const view = new Float32Array(this.buffer, address, count + 1);
    if (view[count] !== GUARD) throw new Error(`a kernel wrote behind the ${count} floats at ${address}`);
    return Float64Array.from(view.subarray(0, count));
  }
}

const GUARD = 12345;
