import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect } from "chai";
import { parseRecorded } from "../../src/data/recorded-routing.ts";
import type { RecordedAssignment, RecordedLoads, RecordedSizes } from "../../src/data/recording.ts";
import { DataError } from "../../src/data/source.ts";
import { loadMetrics } from "../../src/metrics/metrics.ts";
import { deviceLoad } from "../../src/placement/device-load.ts";
import { placements } from "../../src/placement/placements.ts";
import { countLoad } from "../../src/routing/assignment.ts";
import { skipAloud } from "../skip.ts";
import { npyBytes } from "./npy-bytes.ts";

const parse = (text: string, sizes?: RecordedSizes) => parseRecorded("f", new TextEncoder().encode(text), sizes);
const assignment = (text: string, sizes?: RecordedSizes) => parse(text, sizes) as RecordedAssignment;
const loads = (text: string, sizes?: RecordedSizes) => parse(text, sizes) as RecordedLoads;

describe("recorded routing", () => {
  const same: [what: string, text: string][] = [
    ["JSON", '{"experts": [[0, 3], [2, -1]]}'],
    ["a bare array", "[[0, 3], [2, -1]]"],
    ["JSON lines, a token each", "[0, 3]\n[2, -1]\n"],
    ["vLLM's names", '{"topk_ids": [[0, 3], [2, -1]]}'],
    ["CSV", "0,3\n2,-1\n"],
    ["CSV with a header", "first,second\n0,3\n2,-1\n"],
    ["a table of tokens, slots and experts", "token,slot,expert,device\n0,0,0,0\n0,1,3,1\n1,0,2,1\n"],
  ];
  for (const [what, text] of same) {
    it(`is read from ${what}, -1 for an empty slot`, () => {
      const read = assignment(text);
      expect(Array.from(read.assignment.experts)).to.deep.equal([0, 3, 2, -1]);
      expect(read.assignment.slots).to.equal(2);
      expect(read.experts).to.equal(4);
      expect(read.notes.join()).to.match(/4 experts, by the highest number in the file/);
    });
  }

  it("is read from .npy", () => {
    const read = parseRecorded("f", npyBytes("<i2", [2, 2], [0, 3, 2, -1])) as RecordedAssignment;
    expect(Array.from(read.assignment.experts)).to.deep.equal([0, 3, 2, -1]);
  });

  it("brings weights and domains where the file has them", () => {
    const read = assignment('{"experts": [[1], [0]], "weights": [[0.5], [0.25]], "domains": ["a", "b"]}');
    expect(Array.from(read.assignment.weights)).to.deep.equal([0.5, 0.25]);
    expect(read.weighted).to.equal(true);
    expect(read.domains?.names).to.deep.equal(["a", "b"]);
    expect(assignment("0,1").weighted).to.equal(false);
    expect(Array.from(assignment("token,expert,weight\n0,2,0.5\n1,0,0.25").assignment.weights)).to.deep.equal([
      0.5, 0.25,
    ]);
  });

  it("has loads by layer, ranks added up, absent experts at 0", () => {
    const read = loads("layer_id,expert_id,count\n0,0,5\n0,2,1\n1,1,4\n0,0,2\n");
    expect(read.names).to.deep.equal(["layer_id 0", "layer_id 1"]);
    expect(read.loads.map((load) => Array.from(load))).to.deep.equal([
      [7, 0, 1],
      [0, 4, 0],
    ]);
    expect(Array.from(loads("expert,hits\n1,3", { experts: 4 }).loads[0]!)).to.deep.equal([0, 3, 0, 0]);
  });

  it("has loads in JSON: one, a layer each, or steps of layers that are added up", () => {
    expect(Array.from(loads('{"load": [3, 1]}').loads[0]!)).to.deep.equal([3, 1]);
    expect(loads('{"logical_count": [[3, 1], [0, 2]]}').loads).to.have.length(2);
    const steps = loads('{"logical_count": [[[3, 1], [0, 2]], [[1, 1], [5, 0]]]}');
    expect(steps.loads.map((load) => Array.from(load))).to.deep.equal([
      [4, 2],
      [5, 2],
    ]);
    expect(steps.notes.join()).to.equal("2 steps added up");
  });

  const esft = "0\t3\t2\t1\t\t0.5\t0.5\t0.75\t0.25\n1\t0\t\t1\t0\n";

  it("is read from ESFT's text, a line a sequence", () => {
    const read = assignment(esft);
    expect(Array.from(read.assignment.experts)).to.deep.equal([0, 3, 2, 1, 1, 0]);
    expect(Array.from(read.assignment.weights)).to.deep.equal([0.5, 0.5, 0.75, 0.25, 1, 0]);
    expect(read.assignment.slots).to.equal(2);
    expect(read.sequenceStarts).to.deep.equal([0, 2]);
    expect(read.notes.join()).to.match(/2 experts a token, as the sequences divide/);
    expect(assignment(esft, { topK: 1 }).assignment.slots).to.equal(1);
  });

  const wrong: [text: string, message: RegExp, sizes?: RecordedSizes][] = [
    ["0,1\n2,8\n", /^f:2:3: token 1 has expert 8; expected 0 … 7, or -1 for none/, { experts: 8 }],
    ["0,1\n2,1.5\n", /^f:2:3: token 1 has expert 1\.5; expected a whole number/],
    ["0,1\n2,-2\n", /^f:2:3: token 1 has expert -2/],
    ["0,1\n2,nan\n", /^f:2:3: token 1 has expert NaN/],
    ["0,1\n2,2\n", /^f:2:3: token 1 has expert 2 twice/],
    ["0,1\n2\n", /^f:2:2: 1 cell, where the first line has 2; write -1/],
    ["-1,-1\n", /^f: has no expert in any slot/],
    ['{"x": []}', /^f:1:1: has neither "experts" nor "load" \(its keys: x\)/],
    [
      '{"experts": [[0]], "weights": [[1, 2]]}',
      /^f:1:31: has the shape \[1, 2\]; expected that of the experts, \[1, 1\]/,
    ],
    ['{"load": [3, -1]}', /^f:1:14: a load of -1; expected a number, 0 or more/],
    ['{"load": [3, 1]}', /^f:1:10: has 2 loads a layer, but --experts says 4/, { experts: 4 }],
    ["layer,expert\n0,1\n", /^f: has experts but no counts among its columns layer, expert; name one of them "count"/],
    ["expert,count\n9,1\n", /^f:2:1: expert 9 is not one of 0 … 7/, { experts: 8 }],
    ["expert,count\n1,-4\n", /^f:2:3: a count of -4/],
    ["0\t1\t\t0.5\n", /^f:1:1: 2 experts and 1 weight; expected a weight for each expert/],
    ["0\tx\t\t0.5\t0.5\n", /^f:1:3: "x" is not a number|^f:1:3: "x" is not a finite number/],
    [esft, /^f:2:1: 2 experts are not 4 for each token; say how many a token has with --topk/, { topK: 4 }],
  ];
  for (const [text, message, sizes] of wrong) {
    it(`is refused in one line that says where: ${JSON.stringify(text.slice(0, 40))}`, () => {
      expect(() => parse(text, sizes)).to.throw(DataError, message);
    });
  }

  it("of real models gives the figures that are known of them: ESFT, 26 layers of DeepSeek-V2-Lite", function () {
    const folder = "../shared/traces/esft-deepseek-v2-lite";
    if (!existsSync(folder)) skipAloud(this, `${folder} is absent`);
    const known = { law: [3.52, 1.39], translation: [5.62, 1.69] };
    for (const [domain, figures] of Object.entries(known)) {
      const ratios = Array.from({ length: 26 }, (_, i) => {
        const bytes = gunzipSync(readFileSync(`${folder}/${domain}/expert_weights_${i + 1}.txt.gz`));
        const read = parseRecorded("trace", bytes, { experts: 64 }) as RecordedAssignment;
        expect(read.assignment.slots).to.equal(6);
        const load = new Int32Array(64);
        countLoad(read.assignment, load);
        const onDevices = deviceLoad(load, placements.contiguous.place(64, 8), 8);
        const context = { tokens: read.assignment.tokens, topK: 6 };
        return [load, onDevices].map((each) => loadMetrics["max-over-mean"].of(each, context));
      });
      figures.forEach((figure, side) => {
        const mean = ratios.reduce((sum, ratio) => sum + ratio[side]!, 0) / ratios.length;
        expect(mean).to.be.closeTo(figure, 0.005);
      });
    }
  }).timeout(60_000);
});
