/** A row-major matrix or vector of numbers: double in the reference paths, single in the engines. */
export type Floats = Float32Array | Float64Array;
