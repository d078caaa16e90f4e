/** The same small recording, as programs that know nothing of each other write it: read alike, or refused. */
import { expect } from "chai";
import { parseLogits } from "../../src/data/logits.ts";
import { parseRecorded } from "../../src/data/recorded-routing.ts";
import type { RecordedSizes } from "../../src/data/recording.ts";
import { DataError } from "../../src/data/source.ts";
import { npyBytes } from "./npy-bytes.ts";

const bytesOf = (file: string | Uint8Array) => (typeof file === "string" ? new TextEncoder().encode(file) : file);

/** Experts of tokens by layer, or loads by layer. */
function read(file: string | Uint8Array, sizes: RecordedSizes = {}) {
  const recorded = parseRecorded("f", bytesOf(file), { experts: 12, ...sizes });
  if (recorded.kind === "loads") {
    return Object.fromEntries(recorded.names.map((name, i) => [name, Array.from(recorded.loads[i]!)]));
  }
  const layers =
    recorded.kind === "layers" ? recorded.layers : [{ name: "all", recording: { ...recorded, experts: 12 } }];
  return Object.fromEntries(
    layers.map(({ name, recording: { assignment } }) => {
      const row = (t: number) =>
        Array.from(assignment.experts.subarray(t * assignment.slots, (t + 1) * assignment.slots));
      return [name, Array.from({ length: assignment.tokens }, (_, t) => row(t))];
    }),
  );
}

const layers = {
  "layer 3": [
    [4, 9],
    [7, 5],
  ],
  "layer 4": [
    [6, 8],
    [11, 10],
  ],
};
const alone = { all: layers["layer 3"] };

describe("recordings under other names", () => {
  const same: [what: string, file: string, expected: object][] = [
    ["a row an assignment", "token_idx,expert_idx\n0,4\n0,9\n1,7\n1,5\n", alone],
    ["assignments in any order of tokens", "token,expert\n1,7\n0,4\n1,5\n0,9\n", alone],
    [
      "assignments of layers",
      "layer_id,token_id,k,expert_id\n3,0,0,4\n3,0,1,9\n3,1,0,7\n3,1,1,5\n4,0,0,6\n4,0,1,8\n4,1,0,11\n4,1,1,10\n",
      layers,
    ],
    ["assignments of requests", "request,token,expert\na,0,4\na,0,9\nb,0,7\nb,0,5\n", alone],
    ["numbered tokens", "token,k0,k1\n1,4,9\n2,7,5\n", alone],
    ["positions that are no experts", "position,topk_0,topk_1\n1000,4,9\n1001,7,5\n", alone],
    ["the index of pandas", ",0,1\n0,4,9\n1,7,5\n", alone],
    ["tokens whose choices are called experts", "token,expert_0,expert_1\n4,4,9\n5,7,5\n", alone],
    ["texts beside numbered slots", "text,slot_0,slot_1\nthe,4,9\ncat,7,5\n", alone],
    ["tokens of layers", "layer,token,k0,k1\n3,0,4,9\n3,1,7,5\n4,0,6,8\n4,1,11,10\n", layers],
    ["rows of layers", "layer_idx,0,1\n3,4,9\n3,7,5\n4,6,8\n4,11,10\n", layers],
    [
      "JSON lines of layers",
      '{"moe_layer":3,"topk_ids":[4,9]}\n{"moe_layer":4,"topk_ids":[6,8]}\n{"moe_layer":3,"topk_ids":[7,5]}\n{"moe_layer":4,"topk_ids":[11,10]}\n',
      layers,
    ],
    [
      "JSON lines, all layers of a token",
      '{"token":0,"experts":[[4,9],[6,8]]}\n{"token":1,"experts":[[7,5],[11,10]]}\n',
      { "layer 0": layers["layer 3"], "layer 1": layers["layer 4"] },
    ],
    [
      "a nested array",
      "[[[4,9],[7,5]],[[6,8],[11,10]]]",
      { "layer 0": layers["layer 3"], "layer 1": layers["layer 4"] },
    ],
    [
      "loads of JSON lines",
      '{"layer":3,"counts":[1,2]}\n{"layer":4,"counts":[3,4]}\n',
      { "layer 3": [1, 2], "layer 4": [3, 4] },
    ],
    [
      "loads",
      "moe_layer,expert,num_tokens\n3,0,1\n3,1,2\n4,0,3\n4,1,4\n",
      { "moe_layer 3": [1, 2], "moe_layer 4": [3, 4] },
    ],
    ["loads of experts by number", "layer,0,1\n3,1,2\n4,3,4\n", { "layer 3": [1, 2], "layer 4": [3, 4] }],
    ["loads by domain", "domain,expert_0,expert_1\narxiv,1,2\nweb,3,4\n", { arxiv: [1, 2], web: [3, 4] }],
  ];
  for (const [what, file, expected] of same) {
    it(`are read alike: ${what}`, () => {
      const experts = Object.values(expected).some((rows: unknown[]) => typeof rows[0] === "number") ? 2 : 12;
      expect(read(file, { experts })).to.deep.equal(expected);
      const wide = Uint8Array.from(Buffer.from(`\ufeff${file}`, "utf16le"));
      expect(read(wide, { experts }), "as Windows writes text").to.deep.equal(expected);
    });
  }

  it("bring the weights that stand beside the experts", () => {
    const recorded = parseRecorded("f", bytesOf("token,k0,k1,weight_0,weight_1\n0,4,9,0.75,0.25\n1,7,5,0.5,0.5\n"));
    expect(recorded.kind === "assignment" && Array.from(recorded.assignment.weights)).to.deep.equal([
      0.75, 0.25, 0.5, 0.5,
    ]);
  });

  it("are loads where they are said to be: of one layer, of layers, of steps that are added up", () => {
    const areLoads = { areLoads: true, experts: 2 };
    const added = { "layer 0": [6, 8], "layer 1": [10, 12] };
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8];
    expect(read(npyBytes("<i8", [2], [1, 2]), areLoads)).to.deep.equal({ "layer 0": [1, 2] });
    expect(read(npyBytes("<i8", [2, 2, 2], numbers), areLoads)).to.deep.equal(added);
    expect(read("[[[1,2],[3,4]],[[5,6],[7,8]]]", areLoads)).to.deep.equal(added);
    expect(read("[1,2]", areLoads)).to.deep.equal({ "layer 0": [1, 2] });
    expect(read("expert_0,expert_1\n1,2\n3,4\n", areLoads)).to.deep.equal({ "layer 0": [1, 2], "layer 1": [3, 4] });
  });

  it("say what rows of the same expert were added up", () => {
    const { notes } = parseRecorded("f", bytesOf("rank,expert,count\n0,1,5\n1,1,6\n"), { experts: 2 });
    expect(notes).to.deep.equal(["1 row added to an earlier one of the same expert, whatever their rank"]);
  });

  it("have the axes that they are said to have, where tokens are fewer than layers", () => {
    const numbers = [4, 9, 6, 8, 0, 1]; // [1 token … 3 layers] would be a batch of one: two tokens, three layers
    const array = npyBytes("<i2", [2, 3, 1], numbers);
    expect(Object.keys(read(array))).to.deep.equal(["layer 0", "layer 1"]);
    expect(read(array, { axes: "tokens,layers" })).to.deep.equal({
      "layer 0": [[4], [8]],
      "layer 1": [[9], [0]],
      "layer 2": [[6], [1]],
    });
    expect(read("[[[4],[9],[6]],[[8],[0],[1]]]", { axes: "tokens,layers" })["layer 2"]).to.deep.equal([[6], [1]]);
  });

  const refused: [what: string, file: string | Uint8Array, message: RegExp][] = [
    [
      "experts by number that may be either",
      "expert_0,expert_1\n4,9\n7,5\n",
      /^f: its columns expert_0, … may be loads .* say --loads/,
    ],
    ["weights of some experts", "k0,k1,weight_0\n4,9,1\n", /^f: has 2 columns of experts and 1 of weights/],
    ["tokens alone", "token,weight_0\n4,9\n", /^f: has no column of experts among token, weight_0/],
    [
      "safetensors",
      Uint8Array.from([64, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x22]),
      /^f: is a safetensors file: save one array/,
    ],
    ["zstd", Uint8Array.from([0x28, 0xb5, 0x2f, 0xfd, 0]), /^f: is packed by zstd/],
  ];
  for (const [what, file, message] of refused) {
    it(`are refused in one line: ${what}`, () => {
      expect(() => read(file)).to.throw(DataError, message);
    });
  }
});

describe("logits under other names", () => {
  const rows = [
    [1, -2.5],
    [0.25, 4],
  ];
  const logits = (file: string | Uint8Array) => {
    const { columns, values } = parseLogits("f", bytesOf(file)).logits;
    return Array.from({ length: values.length / columns }, (_, t) =>
      Array.from(values.subarray(t * columns, (t + 1) * columns)),
    );
  };
  const same: [what: string, file: string | Uint8Array][] = [
    ["an index of tokens", "token_idx,expert_0,expert_1\n0,1,-2.5\n1,0.25,4\n"],
    ["sequence and position", "seq,pos,logit_0,logit_1\n0,0,1,-2.5\n0,1,0.25,4\n"],
    ["one layer", "layer,token,0,1\n3,0,1,-2.5\n3,1,0.25,4\n"],
    ["the text of a token", "id,text,e0,e1\n0,the,1,-2.5\n1,cat,0.25,4\n"],
    ["JSON lines, a token each", '{"token":0,"logits":[1,-2.5]}\n{"token":1,"logits":[0.25,4]}\n'],
    ["JSON lines, a batch each", '{"logits":[[1,-2.5]]}\n{"logits":[[0.25,4]]}\n'],
    ["transformers' name", '{"router_logits":[[1,-2.5],[0.25,4]]}'],
    ["a batch of one", npyBytes("<f4", [1, 2, 2], rows.flat())],
  ];
  for (const [what, file] of same) it(`are read alike: ${what}`, () => expect(logits(file)).to.deep.equal(rows));

  const refused: [what: string, file: string | Uint8Array, message: RegExp][] = [
    ["several layers", "layer,e0,e1\n3,1,2\n4,1,2\n", /^f:3:1: another layer than in the first row/],
    ["lines of several layers", '{"layer":0,"logits":[1]}\n{"layer":1,"logits":[2]}\n', /^f:2:1: another layer/],
    ["lines of unequal length", '{"logits":[1]}\n{"logits":[2,3]}\n', /^f:2:1: 2 logits, where the first line has 1/],
    ["a row a logit", "token,expert,logit\n0,0,1\n0,1,2\n", /^f: has a row a logit; expected a row a token/],
    ["bfloat16 as whole numbers", npyBytes("<u2", [1, 2], [16256, 16384]), /^f: holds whole numbers of 16 bits, u2/],
  ];
  for (const [what, file, message] of refused) {
    it(`are refused in one line: ${what}`, () => expect(() => logits(file)).to.throw(DataError, message));
  }
});
