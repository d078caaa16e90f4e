/**
 * Seconds of one fused attention kernel on one device.
 *
 * SIMULATED figures. Each core takes a block of query rows of one head at a time and walks over the keys that the
 * mask leaves; whole waves of blocks are counted, like the tiles of a product. Two constants a device, a start and an
 * achieved share, were fitted to published timings by sequence length.
 */
import type { Device } from "./device.ts";

export interface AttentionShape {
  readonly sequences: number;
  /** Heads on this device. */
  readonly heads: number;
  /** Query rows a sequence on this device. */
  readonly queries: number;
  /** Keys a sequence that a query may see at most. */
  readonly keys: number;
  /** Width of a query and key, rotary part included. */
  readonly keySize: number;
  readonly valueSize: number;
  /** Under a causal mask a query sees half of the keys on average, and the block on the diagonal whole. */
  readonly causal: boolean;
}

/** start + waves · cores · (FLOP of a block)/(share · peak); a block is 2 · rows · seen keys · (keySize + valueSize) FLOP. */
export function attentionForwardSeconds(shape: AttentionShape, device: Device): number {
  return seconds(shape, 1, device.attention.forward.value, device);
}

/** The same with five products for every two of the forward pass: two and a half times its FLOP. */
export function attentionBackwardSeconds(shape: AttentionShape, device: Device): number {
  return seconds(shape, 2.5, device.attention.backward.value, device);
}

function seconds(shape: AttentionShape, flopFactor: number, share: number, device: Device): number {
  const { attention, cores, peakFlopsPerSecond } = device;
  const rows = attention.blockRows.value;
  const blocks = shape.sequences * shape.heads * Math.ceil(shape.queries / rows);
  if (blocks === 0) return 0;
  const seen = shape.causal ? (shape.keys + Math.min(rows, shape.keys)) / 2 : shape.keys;
  const blockFlops = 2 * rows * seen * (shape.keySize + shape.valueSize) * flopFactor;
  const waves = Math.ceil(blocks / cores.value);
  return attention.startSeconds.value + (waves * cores.value * blockFlops) / (share * peakFlopsPerSecond.value);
}
