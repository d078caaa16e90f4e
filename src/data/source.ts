/** What a training loop knows of its data: sequences of bytes, each from a named domain. Where they come from is the source's own affair. */

/**
 * Tokens are bytes. A sequence is `context + 1` long: its first `context` bytes are inputs, its last `context` targets.
 */
export interface TokenSource {
  /** Names of the domains (text) or topics (synthetic); indices into it are what `domain` holds. */
  readonly domains: readonly string[];
  /**
   * The sequences of a step. A pure function of the step, and a larger batch begins with the smaller one.
   * @returns tokens [sequences, context + 1], domain [sequences]
   */
  batch(step: number, sequences: number): { readonly tokens: Uint8Array; readonly domain: Int32Array };
  /**
   * Fixed validation sequences of one domain, from a part of it that `batch` never draws from.
   * @returns [sequences, context + 1]
   */
  validation(domain: number, sequences: number): Uint8Array;
}

/** Data that cannot be used as the config asks. The message is one line: which domain, what is wrong, what to do. */
export class DataError extends Error {
  override readonly name = "DataError";
}
