/**
 * What the wasm module exports. All pointers are byte addresses in the one memory that the engine lays out;
 * matrices are row-major float32. The compiler inlines the small functions. No kernel allocates, and none reads what another thread is writing.
 */

export { adamw, sumOfSquares } from "./adamw";
export { attentionBackward, attentionForward } from "./attention";
export { inverseExponentials } from "./elementary";
export { embeddingBackward, embeddingForward, positionBackward } from "./embedding";
export { gemm, scratchBytes } from "./gemm";
export { crossEntropyBackward, crossEntropyForward } from "./loss";
export { addRows, normBackward, normForward } from "./norm";
export { combine, combineBackward, dispatch, dispatchBackward } from "./permute";
export { routeBackward, routeForward } from "./router";
export { clear, copy } from "./rows";
export { swigluBackward, swigluForward } from "./swiglu";
