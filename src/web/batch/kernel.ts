/**
 * The routing pass of a batch by a wasm kernel, for what it knows: top-k and MoGE, softmax scores, nothing dropped. It is
 * a twin of routing/, to the bit (assembly/batch.ts); all else is left to the pass itself.
 */
import type { Floats } from "../../core/floats.ts";
import { PAGE_BYTES, type WasmMemory, webAssembly } from "../../engine/wasm/webassembly.ts";
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

/** For the kernels' own numbers, then arrays that are lent, then what one call needs; what is never written costs nothing. */
const MEMORY_PAGES = 320;

export class BatchKernel {
  private readonly memory: WasmMemory;
  private readonly kernels: Kernels;
  /** Of what is lent. */
  private end = PAGE_BYTES;

  /** @param bytes dist/wasm/batch.single.wasm */
  constructor(bytes: Uint8Array) {
    this.memory = new webAssembly.Memory({ initial: MEMORY_PAGES, maximum: MEMORY_PAGES });
    const module = new webAssembly.Module(bytes);
    this.kernels = new webAssembly.Instance(module, { env: { memory: this.memory } }).exports as Kernels;
  }

  /** Memory for good, which need not be copied to be worked on; undefined if there is no room left. */
  lend(length: number): Float64Array | undefined {
    const address = this.end;
    const end = after(address, 8 * length);
    if (end > this.memory.buffer.byteLength) return undefined;
    this.end = end;
    return new Float64Array(this.memory.buffer, address, length);
  }

  /** As `score` of routing/route.ts. @returns false, and nothing done, of what it does not know or has no room for */
  score({ settings, noise, logits, scores, shape, assignment }: Routing): boolean {
    if (settings.scoreFunction !== "softmax" || noise !== undefined) return false;
    const room = new Room(this.memory, this.end);
    const [from, to] = [room.for(logits), room.for(scores)];
    if (!room.suffices) return false;
    room.write(logits, from);
    this.kernels.softmax(from, to, assignment.tokens, shape.experts);
    room.read(scores, to);
    return true;
  }

  /** As `choose` of routing/route.ts. @param bias [N] @returns as `score` does */
  choose({ settings, shape, logits, scores, assignment, chosen }: Routing, bias: Float64Array): boolean {
    if (settings.selection !== "topk" && settings.selection !== "moge") return false;
    const shifts = bias.some((shift) => shift !== 0);
    const ranked = shifts ? scores : logits;
    const taken = new Float64Array(shape.topK);
    const room = new Room(this.memory, this.end);
    const [from, by, to, best] = [room.for(ranked), room.for(bias), room.for(chosen), room.for(taken)];
    if (!room.suffices) return false;
    room.write(ranked, from);
    room.write(bias, by);
    const { experts, topK } = shape;
    const groups = settings.selection === "moge" ? shape.groups : 1;
    this.kernels.choose(from, shifts ? by : 0, assignment.tokens, experts, topK, groups, to, best);
    room.read(chosen, to);
    return true;
  }

  /** As `settle` of routing/route.ts, after `choose`. @returns as `score` does */
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
    const room = new Room(this.memory, this.end);
    const [from, by, to] = [room.for(logits), room.for(chosen), room.for(weights)];
    if (!room.suffices) return false;
    room.write(logits, from);
    room.write(chosen, by);
    this.kernels.weigh(from, by, to, tokens, shape.experts, shape.topK, scale);
    room.read(weights, to);
    return true;
  }
}

const after = (address: Address, bytes: number): Address => address + 16 * Math.ceil((bytes + SLACK) / 16);

/** Where the arrays of one call lie: those of the kernels' memory where they are, copies of others behind what is lent. */
class Room {
  private readonly memory: WasmMemory;
  private end: Address;

  constructor(memory: WasmMemory, end: Address) {
    this.memory = memory;
    this.end = end;
  }

  get suffices(): boolean {
    return this.end <= this.memory.buffer.byteLength;
  }

  for(array: Floats | Int32Array): Address {
    if (this.holds(array)) return array.byteOffset;
    const address = this.end;
    this.end = after(address, array.byteLength);
    return address;
  }

  write(array: Floats | Int32Array, address: Address): void {
    if (!this.holds(array)) this.copy(array, address).set(array);
  }

  read(array: Floats | Int32Array, address: Address): void {
    if (!this.holds(array)) array.set(this.copy(array, address));
  }

  private holds(array: Floats | Int32Array): boolean {
    return array.buffer === this.memory.buffer;
  }

  private copy({ length, BYTES_PER_ELEMENT }: Floats | Int32Array, address: Address): Float64Array | Int32Array {
    const { buffer } = this.memory;
    return BYTES_PER_ELEMENT === 4
      ? new Int32Array(buffer, address, length)
      : new Float64Array(buffer, address, length);
  }
}
