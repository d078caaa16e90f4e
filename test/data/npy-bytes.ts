/** Writes .npy files as numpy does, for tests. */

type Write = (view: DataView, at: number, value: number, little: boolean) => void;

/** Numbers that the format holds exactly are written exactly. */
const writers: Readonly<Record<string, Write>> = {
  f4: (view, at, value, little) => view.setFloat32(at, value, little),
  f8: (view, at, value, little) => view.setFloat64(at, value, little),
  i1: (view, at, value) => view.setInt8(at, value),
  i2: (view, at, value, little) => view.setInt16(at, value, little),
  i4: (view, at, value, little) => view.setInt32(at, value, little),
  i8: (view, at, value, little) => view.setBigInt64(at, BigInt(value), little),
  u1: (view, at, value) => view.setUint8(at, value),
  u2: (view, at, value, little) => view.setUint16(at, value, little),
  f2: (view, at, value, little) => view.setUint16(at, value, little), // bits
  V2: (view, at, value, little) => view.setUint16(at, value, little), // bits
};

export interface NpyOptions {
  readonly version?: 1 | 2 | 3;
  readonly fortran?: boolean;
}

/** @param type e.g. "<f4" @param values in the order in which they lie in the file; bits for f2 and V2 */
export function npyBytes(
  type: string,
  shape: readonly number[],
  values: readonly number[],
  { version = 1, fortran = false }: NpyOptions = {},
): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const header = `{'descr': '${type}', 'fortran_order': ${fortran ? "True" : "False"}, 'shape': (${sizes}), }\n`;
  const prefix = version === 1 ? 10 : 12;
  const size = Number(type.slice(2));
  const bytes = new Uint8Array(prefix + header.length + values.length * size);
  const view = new DataView(bytes.buffer);
  bytes.set([0x93, ...new TextEncoder().encode("NUMPY"), version, 0]);
  if (version === 1) view.setUint16(8, header.length, true);
  else view.setUint32(8, header.length, true);
  bytes.set(new TextEncoder().encode(header), prefix);
  const write = writers[type.slice(1)]!;
  const data = prefix + header.length;
  for (const [i, value] of values.entries()) write(view, data + i * size, value, type[0] !== ">");
  return bytes;
}
