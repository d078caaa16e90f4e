import { expect } from "chai";
import { conclusion } from "../../src/output/conclusion.ts";
import type { SummaryRow } from "../../src/output/summary-rows.ts";

const first: SummaryRow = {
  variant: "first",
  values: {
    validation_loss_nats_per_byte: 2.1412,
    imbalance_score_mean: 0.402,
    expert_max_over_mean: 1.8712,
    fan_out_devices_per_token: 5.2,
    simulated_step_seconds: 0.01012,
    simulated_wait_seconds: 0.00116,
    simulated_communication_seconds: 0.00286,
  },
};
const second: SummaryRow = {
  variant: "second",
  values: {
    validation_loss_nats_per_byte: 2.158,
    imbalance_score_mean: 0,
    expert_max_over_mean: 1.8709,
    fan_out_devices_per_token: 8,
    simulated_step_seconds: 0.0105,
    simulated_wait_seconds: 0,
    simulated_communication_seconds: 0.0044,
  },
};

describe("output/conclusion", () => {
  it("says what is better, what it is paid with, what it comes to and who is best", () => {
    expect(conclusion([first, second])).to.deep.equal([
      "Against first, second has the lower device imbalance score (0, against 0.402) and " +
        "simulated wait for the hottest device (0, against 1.16 ms); " +
        "it has the higher fan-out (8.00, against 5.20 devices per token) and " +
        "simulated communication (4.40, against 2.86 ms); " +
        "it has the same expert max/mean load (1.87). " +
        "Simulated step time is 10.50 ms against 10.12 and validation loss is 2.158 nats per byte against 2.141 for second.",
      "The lowest simulated step time is that of first and the lowest validation loss is that of first.",
    ]);
  });

  it("says the opposite the other way round", () => {
    const [lower, higher, same] = conclusion([second, first])[0]!.split(";");
    expect(lower).to.match(/^Against second, first has the lower fan-out \(5\.20, against 8\.00 .* and simulated comm/);
    expect(higher).to.match(/^ it has the higher device imbalance score \(0\.402, against 0\) and simulated wait/);
    expect(same).to.match(
      /^ it has the same expert max\/mean load \(1\.87\)\. Simulated step time is 10\.12 ms against/,
    );
  });

  it("names all that share the lowest figure", () => {
    const [compared, lowest] = conclusion([first, { ...first, variant: "twin" }]);
    expect(compared).to.match(
      /\. Simulated step time is unchanged at 10\.12 ms and validation loss is unchanged at 2\.141 nats per byte for twin\.$/,
    );
    expect(lowest).to.equal(
      "The lowest simulated step time is that of first and twin and the lowest validation loss is that of first and twin.",
    );
  });

  it("compares only what both have", () => {
    const dense: SummaryRow = { variant: "dense", values: { validation_loss_nats_per_byte: 2.2 } };
    expect(conclusion([first, dense])).to.deep.equal([
      "Validation loss is 2.200 nats per byte against 2.141 for dense.",
      "The lowest validation loss is that of first.",
    ]);
    expect(conclusion([first, { variant: "none", values: {} }])).to.deep.equal([
      "none and first have no figure in common.",
    ]);
  });

  it("has a sentence for each variant after the first, and compares nothing when there is none", () => {
    expect(conclusion([first, second, second])).to.have.length(3);
    expect(conclusion([first])).to.deep.equal(["first ran alone, so nothing is compared."]);
  });
});
