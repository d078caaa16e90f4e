/** Where the time of a step goes: sums by hand on a clock of ours, and the parts that a real engine names. */
import { expect } from "chai";
import { Profile } from "../../src/engine/wasm/profile.ts";
import { openWasmEngine } from "../../src/host/wasm-engine.ts";
import { profileTable } from "../../src/output/profile-table.ts";
import { batchFor, smallRun } from "./small-run.ts";

describe("profile", () => {
  it("gives each part of each layer its time, and waiting a part of its own", () => {
    let now = 100;
    const profile = new Profile(() => now);
    const pass = (milliseconds: number) => (now += milliseconds);
    const step = () => {
      profile.start();
      profile.enter("forward", 0);
      pass(5);
      profile.lap("experts");
      pass(2);
      profile.wait(() => pass(3));
      profile.lap("router");
      profile.enter("backward", 0);
      pass(11);
      profile.lap("experts");
      profile.enter("backward");
      pass(7);
      profile.lap("optimizer");
      profile.stop();
    };
    step();
    pass(1000); // an evaluation: of no part
    profile.lap("experts");
    step();
    const parts = profile.parts();
    expect(parts).to.deep.equal([
      { part: "experts", layer: 0, forward: 10, backward: 22 },
      { part: "router", layer: 0, forward: 4, backward: 0 },
      { part: "waiting for other threads", layer: undefined, forward: 6, backward: 0 },
      { part: "optimizer", layer: undefined, forward: 0, backward: 14 },
    ]);
    expect(profileTable("moge", parts, 2).split("\n")).to.deep.equal([
      "moge: milliseconds of a training step on its first thread",
      "layer  part                       forward  backward    share",
      "0      experts                       5.00     11.00   57.1 %",
      "0      router                        2.00              7.1 %",
      "       waiting for other threads     3.00             10.7 %",
      "       optimizer                               7.00   25.0 %",
      "       all                          10.00     18.00  100.0 %",
    ]);
  });

  it("has every part of a model, forward and backward, and only those", async () => {
    const config = smallRun({ engine: { kind: "wasm", threads: 1, kernels: "plain" } });
    const engine = await openWasmEngine(config, true);
    engine.train(batchFor(config), 1e-3);
    const parts = engine.profile!();
    engine.close();
    const ofLayer = (wanted: number | undefined) =>
      parts.filter(({ layer }) => layer === wanted).map(({ part }) => part);
    const block = ["attention, heads", "attention, projections", "dispatch and combine", "experts", "norms", "router"];
    for (const layer of [0, 1]) expect(ofLayer(layer).sort()).to.deep.equal([...block, "shared experts"]);
    expect(ofLayer(undefined).sort()).to.deep.equal(["clearing gradients", "embedding", "head", "optimizer"]);
    for (const { part, layer, forward, backward } of parts.filter((each) => each.layer !== undefined)) {
      expect(forward, `${part} ${layer}`).to.be.above(0);
      expect(backward, `${part} ${layer}`).to.be.above(0);
    }
  });
});
