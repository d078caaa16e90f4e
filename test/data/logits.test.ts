import { expect } from "chai";
import fc from "fast-check";
import { parseLogits } from "../../src/data/logits.ts";
import { DataError } from "../../src/data/source.ts";
import { npyBytes } from "./npy-bytes.ts";

const parse = (text: string) => parseLogits("f", new TextEncoder().encode(text));
const rowsOf = (text: string) => {
  const { rows, columns, values } = parse(text).logits;
  return Array.from({ length: rows }, (_, t) => Array.from(values.subarray(t * columns, (t + 1) * columns)));
};

const matrix = [
  [1, -2.5, 300],
  [0.25, 4, -Infinity],
];

describe("logits", () => {
  const texts: [what: string, text: string][] = [
    ["JSON, as Python writes it", "[[1, -2.5, 3e2], [0.25, 4, -Infinity]]"],
    ["JSON lines, a token each", '[1, -2.5, 3e2]\r\n[0.25, 4, "-Infinity"]\n'],
    ["JSON with texts for what JSON lacks", '{"logits": [[1, -2.5, 300], [0.25, 4.0, "-Infinity"]]}'],
    ["commas", "1,-2.5,300\n0.25,4,-inf\n"],
    ["commas, Windows lines, spaces, a mark of byte order", "\ufeff1, -2.5 ,300\r\n 0.25,4, -Infinity\r\n\r\n"],
    ["semicolons", "1;-2.5;+3E2\n.25;4.;-INF"],
    ["tabs", "1\t-2.5\t300\n0.25\t4\t-inf"],
    ["spaces, as numpy.savetxt writes", "  1.0e+00 -2.5e+00 3.0e+02\n2.5e-01 4.0e+00 -inf\n"],
    ["comments", "# batch 7\n1,-2.5,300 # hot\n\n# more\n0.25,4,-inf"],
    ["a header", "e0,e1,e2\n1,-2.5,300\n0.25,4,-inf"],
    ["pandas with its index", ",0,1,2\n0,1,-2.5,300\n1,0.25,4,-inf"],
    ["quoted names and numbers", '"expert a","expert b","expert c"\n"1","-2.5","300"\n0.25,4,-inf'],
  ];
  for (const [what, text] of texts) {
    it(`are read from ${what}`, () => expect(rowsOf(text)).to.deep.equal(matrix));
  }

  it("are read from .npy, by what the bytes say and not the name", () => {
    const { logits } = parseLogits("stdin", npyBytes("<f8", [2, 3], matrix.flat()));
    expect(Array.from(logits.values)).to.deep.equal(matrix.flat());
  });

  it("come back from JSON and from CSV as they were", () => {
    const rows = fc
      .integer({ min: 1, max: 5 })
      .chain((columns) =>
        fc.array(
          fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: columns, maxLength: columns }),
          { minLength: 1, maxLength: 5 },
        ),
      );
    fc.assert(
      fc.property(rows, (given) => {
        const plain = given.map((row) => row.map((value) => value + 0)); // no −0, which JSON forgets
        expect(rowsOf(JSON.stringify(plain))).to.deep.equal(plain);
        expect(rowsOf(plain.map((row) => row.join(",")).join("\n"))).to.deep.equal(plain);
      }),
    );
  });

  it("bring the bias, the domains, the ids and the noise of the tokens", () => {
    const file = parse(
      '{"logits": [[1, 2], [3, 4]], "bias": [0, 0.5], "domains": ["b", "a"], "tokenIds": [7, 3], "rawNoise": [[0, 1], [2, 3]]}',
    );
    expect(file.bias).to.deep.equal(Float64Array.of(0, 0.5));
    expect(file.domains).to.deep.equal({ names: ["b", "a"], of: Int32Array.of(0, 1) });
    expect(file.tokenIds).to.deep.equal(Float64Array.of(7, 3));
    expect(file.rawNoise).to.deep.equal(Float64Array.of(0, 1, 2, 3));
  });

  it("take columns of a table for what their names say", () => {
    const file = parse("token,domain,token_id,e0,e1\n0,law,9,1,2\n1,code,8,3,4\n");
    expect(Array.from(file.logits.values)).to.deep.equal([1, 2, 3, 4]);
    expect(file.domains?.names).to.deep.equal(["law", "code"]);
    expect(file.tokenIds).to.deep.equal(Float64Array.of(9, 8));
    expect(file.notes.join()).to.match(/numbers the tokens is not a logit/);
  });

  it("say when a first line looks like numbers of experts", () => {
    expect(parse("0,1,2\n5,6,7\n").notes.join()).to.match(/first line, 0, 1, 2, …, is taken for logits/);
  });

  const wrong: [text: string, message: RegExp][] = [
    ["", /^f: is empty; expected logits/],
    [" \n\n", /^f: is empty/],
    ["# nothing\n", /^f: is empty; expected a table of numbers/],
    ["e0,e1\n", /^f:1:1: has names but no numbers below them/],
    ["1,2\n3,nan", /^f:2:3: the logit of token 1 for expert 1 is NaN/],
    ["1,2\n3,inf", /^f:2:3: the logit of token 1 for expert 1 is infinite/],
    ["-inf,-inf", /^f:1:1: all logits of token 0 are -Infinity; leave one/],
    ["# c\n1,2,3\n4,5\n", /^f:3:4: 2 cells, where the first line has 3/],
    ["1,2\n3,4,5\n", /^f:2:5: 3 cells, where the first line has 2/],
    ["1,2\n3,\n", /^f:2:3: an empty cell is not|^f:2:3: an empty cell; every cell must be a number/],
    ["1,2\n3, x1\n", /^f:2:4: "x1" is not a number; every cell must be a number/],
    ["1,2\n0x10,4\n", /^f:2:1: "0x10" is not a number/],
    ["[[1, 2],\n [3]]", /^f:2:2: 1 number for token 1, where token 0 has 2/],
    ["[[1, 2],\n [3, NaN]]", /^f:2:6: the logit of token 1 for expert 1 is NaN/],
    ["[[1, 2],\n [3, true]]", /^f:2:6: expected a number, not true/],
    ["[[1, 2], 3]", /^f:1:10: expected an array of numbers, not 3/],
    ["[1, 2]", /^f:1:2: expected a nested array, one inner array for each token, not 1/],
    ["[[[1]]]", /^f:1:3: expected a number, not an array \(a batch of matrices/],
    ["[]", /^f:1:1: is an empty array/],
    ["[[]]", /^f:1:2: an empty row/],
    ['{"x": 1}', /^f:1:1: has no key "logits" \(its keys: x\)/],
    ['{"logits": [[1, 2]], "bias": [1]}', /^f:1:30: has 1 entry; expected 2, one for each expert/],
    ['{"logits": [[1, 2]], "bias": [1, "x"]}', /^f:1:34: expected a finite number, not "x"/],
    ['{"logits": [[1, 2]], "tokenIds": [1.5]}', /^f:1:35: the id of token 0 is 1\.5; expected a whole number/],
    [
      '{"logits": [[1, 2]], "rawNoise": [[1]]}',
      /^f:1:34: has the shape \[1, 1\]; expected that of the logits, \[1, 2\]/,
    ],
    ["[[1, 2],\n [3, 4", /^f:\d+:\d+: is not JSON: Flow sequence must end with a \]/],
    ["PK\u0003\u0004....", /^f: is a zip archive, as \.npz and torch's \.pt are: save one array with numpy\.save/],
  ];
  for (const [text, message] of wrong) {
    it(`are refused in one line that says where: ${JSON.stringify(text.slice(0, 40))}`, () => {
      expect(() => parse(text))
        .to.throw(DataError, message)
        .with.property("message")
        .that.does.not.include("\n");
    });
  }

  it("are refused when they are not text", () => {
    expect(() => parseLogits("f", Uint8Array.of(1, 0, 2, 0))).to.throw(DataError, /^f: is neither text nor \.npy/);
    expect(() => parseLogits("f", Uint8Array.of(0xff, 0xfe, 0xfa))).to.throw(
      DataError,
      /^f: is neither text nor \.npy/,
    );
    // Of every protocol that begins with its number.
    for (let protocol = 2; protocol <= 5; protocol++) {
      const pickle = Uint8Array.of(0x80, protocol, 0x4e, 0x2e);
      expect(() => parseLogits("f", pickle)).to.throw(DataError, /^f: is a Python pickle: save the array with numpy/);
    }
  });
});
