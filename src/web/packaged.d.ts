/** What the build puts into the page: see scripts/page-training.mjs. */
declare module "packaged:training" {
  /** The config as it was written, its parents worked in, without its variants. */
  export const base: Readonly<Record<string, unknown>>;
  export const variants: readonly { readonly name: string; readonly set: Readonly<Record<string, unknown>> }[];
  /** The beginnings of the domains that have to be carried; others are generated. */
  export const texts: Readonly<Record<string, string>>;
  /** The kernels without shared memory. */
  export const kernels: Uint8Array;
}

declare module "packaged:batch" {
  /** dist/wasm/batch.single.wasm */
  export const batchKernel: Uint8Array;
}
