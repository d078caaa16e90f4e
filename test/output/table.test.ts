import { expect } from "chai";
import fc from "fast-check";
import type { SummaryRow } from "../../src/output/summary-rows.ts";
import { summaryTable } from "../../src/output/table.ts";

const number = (max: number) => fc.option(fc.double({ min: 0, max, noNaN: true }), { nil: undefined });
const row: fc.Arbitrary<SummaryRow> = fc
  .record({
    variant: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,60}$/),
    loss: number(20),
    mean: number(64),
    max: number(64),
    expert: number(256),
    fanOut: number(256),
    dropped: number(1),
    seconds: number(900),
  })
  .map(({ variant, loss, mean, max, expert, fanOut, dropped, seconds }) => ({
    variant,
    values: Object.fromEntries(
      Object.entries({
        validation_loss_nats_per_byte: loss,
        imbalance_score_mean: mean,
        imbalance_score_max: max,
        expert_max_over_mean: expert,
        fan_out_devices_per_token: fanOut,
        drop_rate: dropped,
        simulated_step_seconds: seconds,
      }).filter(([, value]) => value !== undefined),
    ),
  }));

// biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of a terminal
const plain = (text: string) => text.replaceAll(/\x1b\[\d+m/g, "");

describe("output/table", () => {
  it("fits 80 columns, every row as long as the header", () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 6 }), (rows) => {
        const lines = plain(summaryTable(rows)).split("\n");
        expect(lines).to.have.length(rows.length + 3);
        for (const line of lines) expect(line.length).to.be.at.most(80);
        for (const line of lines.slice(1, -1)) expect(line.length).to.equal(lines[1]!.length);
      }),
    );
  });

  it("aligns figures under their headings and shows what is absent", () => {
    const rows: SummaryRow[] = [
      {
        variant: "topk",
        values: {
          validation_loss_nats_per_byte: 2.1412,
          imbalance_score_mean: 0.4,
          imbalance_score_max: 0.52,
          expert_max_over_mean: 1.87,
          fan_out_devices_per_token: 5.2,
          drop_rate: 0.025,
          simulated_step_seconds: 0.01012,
        },
      },
      { variant: "dense", values: { validation_loss_nats_per_byte: 2.2 } },
    ];
    expect(plain(summaryTable(rows)).split("\n").slice(0, 4)).to.deep.equal([
      "            valid.  imbalance           expert  fan-out           step ms",
      "variant  nats/byte       mean    max  max/mean  devices  drops  simulated",
      "topk         2.141      0.400  0.520      1.87     5.20   2.5%      10.12",
      "dense        2.200          -      -         -        -      -          -",
    ]);
  });
});
