/**
 * numpy's .npy files, versions 1 to 3: a header in Python's syntax, then the numbers.
 * Format: numpy.lib.format, NEP 1.
 */
import type { Floats } from "../core/floats.ts";
import { dataError, type Matrix } from "./matrix.ts";

export interface NpyArray {
  readonly shape: readonly number[];
  /** As numpy writes it, without the order of bytes: "f4". */
  readonly type: string;
  /** In the order of C: the last index is the fastest. In single precision where the file has no more. */
  readonly values: Floats;
}

const MAGIC = "\x93NUMPY";

export const isNpy = (bytes: Uint8Array): boolean =>
  bytes.length >= MAGIC.length && [...MAGIC].every((letter, i) => bytes[i] === letter.charCodeAt(0));

type Read = (view: DataView, at: number, littleEndian: boolean) => number;

/** By kind and size in bytes. bfloat16 has no kind of its own in numpy: ml_dtypes stores it as two raw bytes. */
const readers: Readonly<Record<string, Read>> = {
  f2: (view, at, little) => halfPrecision(view.getUint16(at, little)),
  f4: (view, at, little) => view.getFloat32(at, little),
  f8: (view, at, little) => view.getFloat64(at, little),
  V2: (view, at, little) => brainFloat(view.getUint16(at, little)),
  i1: (view, at) => view.getInt8(at),
  i2: (view, at, little) => view.getInt16(at, little),
  i4: (view, at, little) => view.getInt32(at, little),
  i8: (view, at, little) => Number(view.getBigInt64(at, little)),
  u1: (view, at) => view.getUint8(at),
  u2: (view, at, little) => view.getUint16(at, little),
  u4: (view, at, little) => view.getUint32(at, little),
  u8: (view, at, little) => Number(view.getBigUint64(at, little)),
  b1: (view, at) => view.getUint8(at),
};

/** Kinds of numbers that single precision holds exactly. */
const singles: ReadonlySet<string> = new Set(["f2", "f4", "V2"]);

/** Whether numbers lie in this machine's memory as they lie in most files. */
const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** @throws DataError */
export function parseNpy(name: string, bytes: Uint8Array): NpyArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[6] ?? 0;
  const lengthBytes = version === 1 ? 2 : 4;
  if (version < 1 || version > 3)
    throw dataError(name, `is a .npy file of version ${version}; versions 1 to 3 are read`);
  const start = 8 + lengthBytes;
  if (bytes.length < start) throw dataError(name, "breaks off within its header; copy the file again");
  const headerBytes = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const header = new TextDecoder().decode(bytes.subarray(start, start + headerBytes));
  const descriptor = /'descr':\s*'([<>|=])(\w\d+)'/.exec(header);
  const shapeText = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  if (descriptor === null || shapeText === undefined || order === undefined) {
    throw dataError(name, `has a header that is not one array of numbers: ${header.trim().slice(0, 60)}`);
  }
  const [, byteOrder, kind] = descriptor as unknown as [string, string, string];
  const read = readers[kind];
  if (read === undefined) {
    const known = Object.keys(readers).join(", ");
    throw dataError(name, `holds numbers of type ${kind}; known are ${known}: save it with .astype("float32")`);
  }
  const shape = shapeText.split(",").flatMap((part) => (part.trim() === "" ? [] : [Number(part)]));
  const count = shape.reduce((product, size) => product * size, 1);
  const size = Number(kind.slice(1));
  const data = start + headerBytes;
  if (bytes.length !== data + count * size) {
    const has = bytes.length - data;
    throw dataError(
      name,
      `has ${has} bytes of numbers, where its shape [${shape}] needs ${count * size}; copy it again`,
    );
  }
  const isLittle = byteOrder !== ">";
  if (kind === "f4" && isLittle && isLittleEndian && order === "False") {
    return { shape, type: kind, values: singlesAt(bytes, data) };
  }
  const values = singles.has(kind) ? new Float32Array(count) : new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = read(view, data + i * size, isLittle);
  return { shape, type: kind, values: order === "True" ? fromFortranOrder(values, shape) : values };
}

/** One number as numpy stores it. @param type as in a header, without the order of bytes: "f4" @throws RangeError */
export function parseNumber(type: string, isLittleEndian: boolean, bytes: Uint8Array): number {
  const read = readers[type];
  if (read === undefined) throw new RangeError(`numbers of type ${type} are not known`);
  return read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, isLittleEndian);
}

/** The axes that say something: a batch of one in front is none. */
export const withoutBatchOfOne = (shape: readonly number[]): readonly number[] =>
  shape.length > 2 && shape[0] === 1 ? withoutBatchOfOne(shape.slice(1)) : shape;

/** @throws DataError unless it has two dimensions, neither of them 0 */
export function npyMatrix(name: string, { shape: whole, values }: NpyArray): Matrix<Floats> {
  const shape = withoutBatchOfOne(whole);
  const [rows, columns] = shape;
  if (rows === undefined || columns === undefined || shape.length > 2) {
    const one = shape.length === 3 ? "; save one of its layers, array[0]" : "";
    throw dataError(name, `has the shape [${whole.join(", ")}]; expected a matrix, [tokens, experts]${one}`);
  }
  if (values.length === 0) throw dataError(name, `has the shape [${whole.join(", ")}]: it is empty`);
  return { rows, columns, values, place: (row, column) => `${name} at [${row}, ${column}]` };
}

/** Where they lie, if that is a multiple of 4, as numpy sees to; else a copy. */
function singlesAt(bytes: Uint8Array, start: number): Float32Array {
  const at = bytes.byteOffset + start;
  if (at % 4 === 0) return new Float32Array(bytes.buffer, at, (bytes.length - start) / 4);
  return new Float32Array(bytes.slice(start).buffer);
}

function fromFortranOrder(values: Floats, shape: readonly number[]): Floats {
  const result = values.slice();
  const index = shape.map(() => 0);
  for (let i = 0; i < result.length; i++) {
    let at = 0;
    for (let d = shape.length - 1; d >= 0; d--) at = at * shape[d]! + index[d]!;
    result[i] = values[at]!;
    for (let d = shape.length - 1; d >= 0; d--) {
      index[d] = index[d]! + 1;
      if (index[d]! < shape[d]!) break;
      index[d] = 0;
    }
  }
  return result;
}

const float32 = new DataView(new ArrayBuffer(4));

/** The upper half of a single-precision number. */
function brainFloat(bits: number): number {
  float32.setUint32(0, (bits << 16) >>> 0);
  return float32.getFloat32(0);
}

/** IEEE 754 binary16. */
function halfPrecision(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return (sign * fraction) / 0x1000000; // fraction · 2^-24
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  float32.setUint32(0, ((exponent + 112) << 23) | (fraction << 13)); // the bias of 15 becomes one of 127
  return sign * float32.getFloat32(0);
}
