import { expect } from "chai";
import { probe } from "../../src/experiment/probe.ts";
import { openData } from "../../src/host/open-data.ts";
import { openEngine } from "../../src/host/open-engine.ts";
import { togetherOnDevice } from "../../src/metrics/co-activation.ts";
import { tinyConfig } from "../tiny-config.ts";

describe("the probe of trained routers", () => {
  it("learns nothing, moves no bias, adds up, and finds MoGE balanced on every domain", async () => {
    const config = tinyConfig("moge", "probe.batches=3", "balance=[{rule: loss-free-bias, rate: 0.1}]");
    const engine = await openEngine(config);
    const data = openData(config, ".");
    engine.train({ tokens: data.batch(1, 4).tokens }, 1e-3);
    const before = engine.save();
    const found = probe(config, engine, data);
    expect(engine.save()).to.deep.equal(before);
    expect(probe(config, engine, data)).to.deep.equal(found);
    const { context, topK, experts } = config.model;
    expect(found.domains).to.have.length(2 * data.domains.length);
    for (const each of found.domains) {
      expect(each.tokens).to.equal(3 * 4 * context);
      expect(each.expertLoad.reduce((sum, load) => sum + load, 0)).to.equal(each.tokens * topK);
      expect(each.imbalanceScore).to.equal(0);
      expect(each.fanOut).to.equal(2);
      const [index] = [data.domains.indexOf(each.domain)];
      const losses = engine.evaluate(data.validation(index, 12));
      expect(each.lossNatsPerByte).to.be.closeTo(losses.reduce((sum, loss) => sum + loss, 0) / losses.length, 1e-5);
    }
    for (const { layer, together, deviceOf } of found.layers) {
      const loads = found.domains.filter((each) => each.layer === layer);
      for (let expert = 0; expert < experts; expert++) {
        const load = loads.reduce((sum, each) => sum + each.expertLoad[expert]!, 0);
        expect(together[expert * experts + expert]).to.equal(load);
      }
      expect(togetherOnDevice(together, deviceOf)).to.equal(0);
    }
    engine.close();
  });
});
