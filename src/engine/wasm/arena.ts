/**
 * The engine's memory, planned before it exists: every array gets its address once, in the same order on every
 * thread, and nothing is allocated afterwards.
 */
import { ModelTooLargeError } from "../engine.ts";
import type { Address } from "./kernels.ts";
import { PAGE_BYTES } from "./webassembly.ts";

/** The first page belongs to the kernels' static data; the crew's control words lie in its second half. */
const RESERVED_BYTES = PAGE_BYTES;
export const CONTROL_ADDRESS: Address = PAGE_BYTES / 2;

/** A cache line: no two arrays share one, so threads do not fight over it. */
const ALIGNMENT_BYTES = 64;

/** What 32-bit addresses reach. */
const LARGEST_BYTES = 4294967296;

export class Arena {
  private top = RESERVED_BYTES;

  /** An array of `count` float32 or int32. */
  words(count: number): Address {
    return this.reserve(4 * count);
  }

  /** An array of `count` float64. */
  doubles(count: number): Address {
    return this.reserve(8 * count);
  }

  bytes(count: number): Address {
    return this.reserve(count);
  }

  /** Whole pages so far. @throws ModelTooLargeError if they are more than a wasm memory can have */
  pages(): number {
    if (this.top > LARGEST_BYTES - PAGE_BYTES) {
      const gigabytes = (this.top / 1e9).toFixed(1);
      throw new ModelTooLargeError(
        `the wasm engine would need ${gigabytes} GB and has 4.2 at most: lower training.sequences, training.ranks or the model's sizes`,
      );
    }
    return Math.ceil(this.top / PAGE_BYTES);
  }

  private reserve(bytes: number): Address {
    const address = this.top;
    this.top += Math.ceil(bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    return address;
  }
}
