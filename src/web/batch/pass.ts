/** The routing pass of routing/route.ts, by a kernel where the page carries one that knows the routing: the same bits. */

import type { Routing } from "../../routing/route.ts";
import * as slow from "../../routing/route.ts";
import { BatchKernel } from "./kernel.ts";

let kernel: BatchKernel | undefined;

/** Routes by a kernel from now on, or without. @param bytes dist/wasm/batch.single.wasm */
export function routeByKernel(bytes: Uint8Array | undefined): void {
  kernel = bytes && new BatchKernel(bytes);
}

/** Memory that the kernel need not copy, if there is one. */
export const lentDoubles = (length: number): Float64Array => kernel?.lend(length) ?? new Float64Array(length);

export function score(routing: Routing): void {
  if (!kernel?.score(routing)) slow.score(routing);
}

/** @param bias [N] */
export function choose(routing: Routing, bias: Float64Array): void {
  if (!kernel?.choose(routing, bias)) slow.choose(routing, { bias });
}

export function settle(routing: Routing): void {
  if (!kernel?.settle(routing)) slow.settle(routing);
}
