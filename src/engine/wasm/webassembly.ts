/**
 * The few names of the WebAssembly interface that are used here. Node and every browser have them as globals, but
 * TypeScript declares them only together with the whole DOM.
 */

export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
}

/** Compiled code; it may be posted to a worker. */
export type WasmModule = object;

interface WebAssemblyInterface {
  readonly Memory: new (limits: { initial: number; maximum: number; shared?: boolean }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Instance: new (module: WasmModule, imports: object) => { readonly exports: object };
  validate(bytes: Uint8Array): boolean;
}

export const webAssembly = (globalThis as unknown as { WebAssembly: WebAssemblyInterface }).WebAssembly;

export const PAGE_BYTES = 65536;
