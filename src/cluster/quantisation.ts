/**
 * What casting to 8 bits costs beside the products it makes faster: values are read in 16 bits and written in 8 by a
 * kernel of their own, as DeepSeek-V3 describes today's hardware to do (arXiv:2412.19437, sections 3.3.2 and 3.5.2).
 */

/** Bytes that are moved for each value. */
export const quantisedBytes = {
  /** Of what goes into a product: 16 bits in, 8 out. */
  input: 3,
  /** Of a gradient that comes back: the scales of rows serve the inputs' gradient, those of columns the weights'. */
  gradient: 4,
  /** Of an input that was kept: its scales change from rows to columns. */
  kept: 2,
} as const;
