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
      "Against first, second is better in device imbalance score (0, not 0.402) and " +
        "simulated wait for the hottest device (0, not 1.16 ms); " +
        "pays in fan-out (8.00, not 5.20 devices per token) and simulated communication (4.40, not 2.86 ms); " +
        "is equal in expert max/mean load (1.87); " +
        "altogether has simulated step time (10.50, not 10.12 ms) and validation loss (2.158, not 2.141 nats per byte).",
      "The lowest simulated step time is that of first and the lowest validation loss is that of first.",
    ]);
  });

  it("says the opposite the other way round", () => {
    const [better, pays, equal] = conclusion([second, first])[0]!.split(";");
    expect(better).to.match(
      /^Against second, first is better in fan-out \(5\.20, not 8\.00 .* and simulated communication/,
    );
    expect(pays).to.match(/^ pays in device imbalance score \(0\.402, not 0\) and simulated wait/);
    expect(equal).to.equal(" is equal in expert max/mean load (1.87)");
  });

  it("names all that share the lowest figure", () => {
    expect(conclusion([first, { ...first, variant: "twin" }]).at(-1)).to.equal(
      "The lowest simulated step time is that of first and twin and the lowest validation loss is that of first and twin.",
    );
  });

  it("compares only what both have", () => {
    const dense: SummaryRow = { variant: "dense", values: { validation_loss_nats_per_byte: 2.2 } };
    expect(conclusion([first, dense])).to.deep.equal([
      "Against first, dense altogether has validation loss (2.200, not 2.141 nats per byte).",
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
