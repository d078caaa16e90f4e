import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect } from "chai";
import { parseRecorded } from "../../src/data/recorded-routing.ts";
import type { RecordedAssignment, RecordedLayers, RecordedLoads, RecordedSizes } from "../../src/data/recording.ts";
import { DataError } from "../../src/data/source.ts";
import { loadMetrics } from "../../src/metrics/metrics.ts";
import { npyBytes } from "./npy-bytes.ts";

const parse = (file: string | object | Uint8Array, sizes: RecordedSizes = {}) => {
  if (file instanceof Uint8Array) return parseRecorded("f", file, sizes);
  return parseRecorded("f", new TextEncoder().encode(typeof file === "string" ? file : JSON.stringify(file)), sizes);
};
const lines = (...records: object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join("");
const rowsOf = ({ assignment: { experts, slots } }: RecordedAssignment) =>
  Array.from({ length: experts.length / slots }, (_, t) => Array.from(experts.subarray(t * slots, (t + 1) * slots)));
const layersIn = (read: ReturnType<typeof parse>) => {
  expect(read.kind).to.equal("layers");
  return Object.fromEntries((read as RecordedLayers).layers.map(({ name, recording }) => [name, rowsOf(recording)]));
};
const loadsIn = (read: ReturnType<typeof parse>) => {
  expect(read.kind).to.equal("loads");
  const { names, loads } = read as RecordedLoads;
  return Object.fromEntries(names.map((name, i) => [name, Array.from(loads[i]!)]));
};

describe("recordings of several layers", () => {
  const expected = {
    "layer 0": [
      [0, 1],
      [2, 3],
    ],
    "layer 1": [
      [0, 2],
      [1, 3],
    ],
  };

  it("are read from Megatron-LM's router trace, its prediction layers by names of their own", () => {
    const record = { step: 0, stage: "pre_dispatch", block: "decoder", rank: 0, num_tokens: 2, topk: 2 };
    const log = lines(
      { ...record, layer: 0, top_indices: expected["layer 0"] },
      { ...record, layer: 1, top_indices: expected["layer 1"] },
      { ...record, block: "mtp", mtp_idx: 0, layer: 1, top_indices: [[3, 2]] },
    );
    expect(layersIn(parse(log))).to.deep.equal({ ...expected, "mtp 0": [[3, 2]] });
  });

  it("are read token by token, requests told apart and other lines passed over", () => {
    const token = (req_id: string, layer: number, topk_ids: number[], topk_weights: number[]) => ({
      type: "route",
      req_id,
      layer,
      topk_ids,
      topk_weights,
    });
    const read = parse(
      lines(
        { type: "meta", model: "a" },
        token("a", 0, [0, 1], [0.75, 0.25]),
        token("a", 1, [0, 2], [0.5, 0.5]),
        token("b", 0, [2, 3], [0.5, 0.5]),
        token("b", 1, [1, 3], [0.25, 0.75]),
      ),
    );
    expect(layersIn(read)).to.deep.equal(expected);
    const [first] = (read as RecordedLayers).layers;
    expect(Array.from(first!.recording.assignment.weights)).to.deep.equal([0.75, 0.25, 0.5, 0.5]);
    expect(first!.recording.sequenceStarts).to.deep.equal([0, 1]);
    expect(read.notes.join("; ")).to.contain("1 line without experts passed over");
  });

  it("are read from gpt-oss's tokens by name, weights included", () => {
    const chosen = (selected_experts: number[]) => ({ selected_experts, selected_probs: [0.75, 0.25] });
    const token = (t: number) => ({
      [`token_${t}`]: { layer_0: chosen(expected["layer 0"][t]!), layer_1: chosen(expected["layer 1"][t]!) },
    });
    const read = parse({ router_data: [token(0), token(1)] });
    expect(layersIn(read)).to.deep.equal(expected);
    expect((read as RecordedLayers).layers[1]!.recording.weighted).to.equal(true);
  });

  it("are read from vLLM's arrays, tokens first, and SGLang's, layers first; padding is left out", () => {
    const tokensFirst = [0, 1].map((t) => [expected["layer 0"][t]!, expected["layer 1"][t]!]);
    const pad = [
      [-1, -1],
      [-1, -1],
    ];
    const read = parse({ prompt_routed_experts: [...tokensFirst, pad] });
    expect(layersIn(read)).to.deep.equal(expected);
    expect(read.notes.join("; ")).to.contain("2 tokens without an expert left out");
    expect(layersIn(parse({ topk_ids_of_layer: Object.values(expected) }))).to.deep.equal(expected);
  });

  it("are read from .npy of three dimensions, the smaller of the first two being the layers", () => {
    const numbers = [0, 1, 2, 3, 1, 0, /* layer 1 */ 0, 2, 1, 3, 2, 0];
    const layersFirst = parse(npyBytes("<i2", [2, 3, 2], numbers));
    expect(layersIn(layersFirst)["layer 1"]).to.deep.equal([
      [0, 2],
      [1, 3],
      [2, 0],
    ]);
    expect(layersFirst.notes.join("; ")).to.contain("[2, 3, 2] read as [layers, tokens, experts a token]");
    expect(layersIn(parse(npyBytes("<i2", [3, 2, 2], numbers)))["layer 1"]).to.deep.equal([
      [2, 3],
      [0, 2],
      [2, 0],
    ]);
  });

  it("are one recording where there is one layer, and share the number of experts", () => {
    expect(parse(lines({ topk_ids: [0, 1] }, { topk_ids: [3, 2] })).kind).to.equal("assignment");
    const [first] = (parse(lines({ layer: 0, topk_ids: [0] }, { layer: 1, topk_ids: [5] })) as RecordedLayers).layers;
    expect(first!.recording.experts).to.equal(6);
  });
});

describe("recorded loads", () => {
  it("are read from vLLM's balancer, slots coming to their experts and steps added up", () => {
    const step = (load: number[]) => ({ record_type: "eplb_load_stats", expert_load: [load], p2l_map: [[0, 1, 2, 1]] });
    const read = parse(lines(step([1, 2, 3, 4]), step([1, 0, 0, 1])));
    expect(loadsIn(read)).to.deep.equal({ "layer 0": [2, 7, 3] });
    expect(read.notes.join("; ")).to.contain("2 steps added up");
  });

  it("are read from GLM's saliency, and Omni-Placement's columns with a word on their unit", () => {
    const glm = { arch: "glm", n_expert: 3, layers: { 3: { cnt: [1, 2, 3] }, 4: { cnt: [0, 5, 1] } } };
    expect(loadsIn(parse(glm))).to.deep.equal({ "layer 3": [1, 2, 3], "layer 4": [0, 5, 1] });
    const omni = parse(",ep_0,ep_1\nlayer_0,3,4\nlayer_1,5,6\n");
    expect(loadsIn(omni)).to.deep.equal({ "layer 0": [3, 4], "layer 1": [5, 6] });
    expect(omni.notes.join()).to.contain("in units of 128");
  });

  it("are bare numbers where they are said to be loads", () => {
    const expected = { "layer 0": [3, 3, 9], "layer 1": [1, 2, 3] };
    expect(loadsIn(parse("3\t3\t9\n1\t2\t3\n", { areLoads: true }))).to.deep.equal(expected);
    expect(loadsIn(parse(npyBytes("<i4", [2, 3], [3, 3, 9, 1, 2, 3]), { areLoads: true }))).to.deep.equal(expected);
  });

  const pickles = {
    "protocol 2":
      "80025d71002863636f6c6c656374696f6e730a436f756e7465720a71017d7102284b02636e756d70792e636f72652e6d756c746961727261790a7363616c61720a7103636e756d70790a64747970650a71045802000000693871058988877106527107284b0358010000003c71084e4e4e4affffffff4affffffff4b0074710962635f636f646563730a656e636f64650a710a58080000000500000000000000710b58060000006c6174696e31710c86710d52710e86710f5271104b0068036807680a580800000001000000000000007111680c8671125271138671145271157585711652711768017d71184b0168036807680a580800000007000000000000007119680c86711a52711b86711c52711d7385711e52711f652e",
    "protocol 4":
      "800495c4000000000000005d94288c0b636f6c6c656374696f6e73948c07436f756e7465729493947d94284b028c156e756d70792e636f72652e6d756c74696172726179948c067363616c61729493948c056e756d7079948c0564747970659493948c02693894898887945294284b038c013c944e4e4e4affffffff4affffffff4b007494624308050000000000000094869452944b006807680d430801000000000000009486945294758594529468037d944b016807680d4308070000000000000094869452947385945294652e",
  };
  const bytesOf = (hex: string) => Uint8Array.from(hex.match(/../g)!, (byte) => Number.parseInt(byte, 16));
  for (const [protocol, hex] of Object.entries(pickles)) {
    it(`are read from pickled counters of numpy's numbers, ${protocol}`, () => {
      // pickle.dumps([Counter({2: np.int64(5), 0: np.int64(1)}), Counter({1: np.int64(7)})])
      expect(loadsIn(parse(bytesOf(hex)))).to.deep.equal({ "entry 0": [1, 0, 5], "entry 1": [0, 7, 0] });
    });
  }

  const wrong: [what: string, file: string | object | Uint8Array, message: RegExp][] = [
    [
      "a pickle of another class",
      bytesOf("80049520000000000000008c086461746574696d65948c0464617465949394430407e4010194859452942e"),
      /a datetime\.date/,
    ],
    [
      "pickled pairs",
      bytesOf(
        "8004952d000000000000005d948c0b636f6c6c656374696f6e73948c07436f756e7465729493947d944b004b0186944b037385945294612e",
      ),
      /counts 2 experts together/,
    ],
    ["a negative count", bytesOf("8004950e000000000000005d947d944b004afdffffff73612e"), /a count of -3/],
    ["half a pickle", bytesOf("8004950e000000000000005d947d94"), /cannot be read/],
    [
      "a log that is cut off",
      `${lines({ topk_ids: [0] }, { topk_ids: [1] })}{"topk_ids": [2`,
      /f:3:1: is not JSON.*cut off/,
    ],
    ["a log of neither", lines({ a: 1 }, { b: 2 }), /no line has chosen experts or loads \(the first line has a\)/],
    ["an expert twice", lines({ topk_ids: [0, 1] }, { topk_ids: [1, 1] }), /f:2:1: token 1 has expert 1 twice/],
    [
      "weights of another shape",
      lines({ topk_ids: [0, 1] }, { topk_ids: [1, 0], topk_weights: [1] }),
      /f:2:1: .*not of the same shape/,
    ],
    ["loads of other shapes", lines({ load: [[1, 2]] }, { load: [[1, 2, 3]] }), /loads of different shapes/],
    ["padding alone", { prompt_routed_experts: [[[-1]], [[-1]]] }, /no token with an expert/],
    ["a map of slots", { physical_to_logical_map: [[0, 1]] }, /moge place LOADS --given reads it/],
    ["counts of unequal layers", { layers: { 0: { cnt: [1, 2] }, 1: { cnt: [1] } } }, /has 1 counts, not 2/],
    ["a negative column", ",ep_0,ep_1\nlayer_0,3,-4\n", /f:2:11: a load of -4/],
  ];
  for (const [what, file, message] of wrong) {
    it(`refuse ${what}, saying where`, () => {
      expect(() => parse(file)).to.throw(DataError, message);
    });
  }

  const olmoe = "../shared/traces/olmoe-repo-counts/olmoe/expert_counts/arxiv.pkl.gz";
  it(
    existsSync(olmoe) ? "of OLMoE on arXiv have the imbalance that is published" : `skipped: ${olmoe} is absent`,
    function () {
      if (!existsSync(olmoe)) this.skip();
      const { loads } = parse(gunzipSync(readFileSync(olmoe))) as RecordedLoads;
      const ratios = loads.map((load) =>
        loadMetrics["max-over-mean"].of(load, { tokens: Number.NaN, topK: Number.NaN }),
      );
      expect(ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length).to.be.closeTo(7.2, 0.05);
    },
  );
});
