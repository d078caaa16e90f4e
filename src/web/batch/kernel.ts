/**
 * The routing pass of a batch by a wasm kernel, for what it knows: top-k and MoGE, softmax scores, nothing dropped. It is
 * a twin of routing/, to the bit (assembly/batch.ts); all else is left to the pass itself.
 */
import { PAGE_BYTES, type WasmMemory, type WasmModule, webAssembly } from "../../engine/wasm/webassembly.ts";
import type { Routing } from "../../routing/route.ts";

type Address = number;

/** Documented at their definitions in assembly/batch.ts. */
interface Kernels {
  softmax(logits: Address, scores: Address, tokens: number, experts: number): void;
  choose(
    ranked: Address,
    bias: Address,
    tokens: number,
    experts: number,
    topK: number,
    groups: number,
    chosen: Address,
    best: Address,
  ): void;
  weigh(
    logits: Address,
    chosen: Address,
    weights: Address,
    tokens: number,
    experts: number,
    topK: number,
    scale: number,
  ): void;
}

/** Vectors may reach so far beyond an array. */
const SLACK = 64;

export class BatchKernel {
  private readonly module: WasmModule;
  private memory: WasmMemory | undefined;
  private kernels: Kernels | undefined;

  /** @param bytes dist/wasm/batch.single.wasm */
  constructor(bytes: Uint8Array) {
    this.module = new webAssembly.Module(bytes);
  }

  /** As `score` of routing/route.ts. @returns false, and nothing done, of scores that it does not know */
  score({ settings, noise, logits, scores, shape, assignment }: Routing): boolean {
    if (settings.scoreFunction !== "softmax" || noise !== undefined) return false;
    const { length } = logits;
    const [from, to] = this.room(8 * length, 8 * length);
    this.doubles(from, length).set(logits);
    this.kernels!.softmax(from!, to!, assignment.tokens, shape.experts);
    scores.set(this.doubles(to, length));
    return true;
  }

  /** As `choose` of routing/route.ts. @param bias [N] @returns false, and nothing done, of a router that it does not know */
  choose({ settings, shape, logits, scores, assignment, chosen }: Routing, bias: Float64Array): boolean {
    if (settings.selection !== "topk" && settings.selection !== "moge") return false;
    const { experts, topK } = shape;
    const shifts = bias.some((shift) => shift !== 0);
    const ranked = shifts ? scores : logits;
    const [from, by, to, best] = this.room(8 * ranked.length, 8 * experts, 4 * chosen.length, 8 * topK);
    this.doubles(from, ranked.length).set(ranked);
    this.doubles(by, experts).set(bias);
    const groups = settings.selection === "moge" ? shape.groups : 1;
    this.kernels!.choose(from!, shifts ? by! : 0, assignment.tokens, experts, topK, groups, to!, best!);
    chosen.set(this.ids(to, chosen.length));
    return true;
  }

  /** As `settle` of routing/route.ts, after `choose`. @returns false, and nothing done, of weights that it does not know */
  settle({ settings, shape, logits, assignment, chosen }: Routing): boolean {
    const { selection, scoreFunction, normalisation, capacity, expertScale, scale } = settings;
    const isKnown =
      (selection === "topk" || selection === "moge") &&
      scoreFunction === "softmax" &&
      normalisation === "chosen" &&
      capacity === undefined &&
      expertScale === undefined;
    if (!isKnown) return false;
    const { tokens, weights } = assignment;
    const [from, by, to] = this.room(8 * logits.length, 4 * chosen.length, 8 * weights.length);
    this.doubles(from, logits.length).set(logits);
    this.ids(by, chosen.length).set(chosen);
    this.kernels!.weigh(from!, by!, to!, tokens, shape.experts, shape.topK, scale);
    weights.set(this.doubles(to, weights.length));
    return true;
  }

  /** Addresses of arrays of so many bytes, behind the kernels' own numbers. */
  private room(...bytes: readonly number[]): Address[] {
    let end = PAGE_BYTES;
    const addresses = bytes.map((length) => {
      const address = end;
      end += Math.ceil((length + SLACK) / 16) * 16;
      return address;
    });
    if (this.memory === undefined || this.memory.buffer.byteLength < end) {
      const pages = Math.ceil(end / PAGE_BYTES);
      this.memory = new webAssembly.Memory({ initial: pages, maximum: pages });
      this.kernels = new webAssembly.Instance(this.module, { env: { memory: this.memory } }).exports as Kernels;
    }
    return addresses;
  }

  private doubles(address: Address | undefined, length: number): Float64Array {
    return new Float64Array(this.memory!.buffer, address, length);
  }

  private ids(address: Address | undefined, length: number): Int32Array {
    return new Int32Array(this.memory!.buffer, address, length);
  }
}
