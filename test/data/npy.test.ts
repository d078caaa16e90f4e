import { expect } from "chai";
import { isNpy, npyMatrix, parseNpy } from "../../src/data/npy.ts";
import { DataError } from "../../src/data/source.ts";
import { npyBytes } from "./npy-bytes.ts";

const numbers = [1, -2, 0, 100, 7, -128];

describe("npy files", () => {
  for (const type of ["<f4", ">f4", "<f8", ">f8", "|i1", "<i2", ">i2", "<i4", "<i8", ">i8"]) {
    it(`are read from ${type}, in every version of the header`, () => {
      for (const version of [1, 2, 3] as const) {
        const { shape, values } = parseNpy("a.npy", npyBytes(type, [2, 3], numbers, { version }));
        expect(shape).to.deep.equal([2, 3]);
        expect(Array.from(values)).to.deep.equal(numbers);
      }
    });
  }

  it("are turned from Fortran's order: the first index was the fastest", () => {
    const { values } = parseNpy("a.npy", npyBytes("<f8", [2, 3], [1, 4, 2, 5, 3, 6], { fortran: true }));
    expect(Array.from(values)).to.deep.equal([1, 2, 3, 4, 5, 6]);
    const cube = parseNpy("a.npy", npyBytes("<i4", [2, 2, 2], [0, 4, 2, 6, 1, 5, 3, 7], { fortran: true }));
    expect(Array.from(cube.values)).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it("hold half precision, its smallest, largest and special numbers included", () => {
    const bits = [0x3c00, 0xc000, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x3555];
    const { values } = parseNpy("a.npy", npyBytes("<f2", [1, 9], bits));
    const expected = [1, -2, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 65504, Infinity, -Infinity, 0.333251953125];
    expect(Array.from(values)).to.deep.equal(expected);
    expect(parseNpy("a.npy", npyBytes("<f2", [1], [0x7e00])).values[0]).to.deep.equal(Number.NaN);
  });

  it("hold bfloat16 as two raw bytes, the upper half of single precision", () => {
    const { values } = parseNpy("a.npy", npyBytes("<V2", [1, 3], [0x3f80, 0xc040, 0x4049]));
    expect(Array.from(values)).to.deep.equal([1, -3, 3.140625]);
  });

  const wrong: [what: string, bytes: Uint8Array, message: RegExp][] = [
    [
      "a vector",
      npyBytes("<f4", [3], [1, 2, 3]),
      /^a\.npy: has the shape \[3\]; expected a matrix, \[tokens, experts\]$/,
    ],
    ["a batch", npyBytes("<f4", [2, 1, 2], [1, 2, 3, 4]), /\[2, 1, 2\]; expected a matrix, .*; save one of its layers/],
    ["nothing", npyBytes("<f4", [0, 4], []), /^a\.npy: has the shape \[0, 4\]: it is empty$/],
    [
      "too few bytes",
      npyBytes("<f4", [2, 2], [1, 2, 3]),
      /^a\.npy: has 12 bytes of numbers, where its shape \[2,2\] needs 16/,
    ],
    [
      "text",
      npyBytes("<f4", [1, 1], [1]).map((byte, i) => (i === 22 ? 0x55 : byte)),
      /^a\.npy: holds numbers of type U4/,
    ],
    [
      "a future version",
      npyBytes("<f4", [1, 1], [1]).map((byte, i) => (i === 6 ? 9 : byte)),
      /version 9; versions 1 to 3/,
    ],
    ["a header cut off", npyBytes("<f4", [1, 1], [1]).subarray(0, 9), /^a\.npy: breaks off within its header/],
  ];
  for (const [what, bytes, message] of wrong) {
    it(`are refused with one line: ${what}`, () => {
      expect(isNpy(bytes)).to.equal(true);
      expect(() => npyMatrix("a.npy", parseNpy("a.npy", bytes))).to.throw(DataError, message);
    });
  }
});
