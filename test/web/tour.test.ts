import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { csvParse } from "d3-dsv";
import { expectedImbalanceScore } from "../../src/metrics/expected-imbalance.ts";
import { type RoutedBatch, routeBatch } from "../../src/web/batch/routed-batch.ts";
import { sizes, travel, wordsOf } from "../../src/web/journey/journey.ts";
import { initialValues, type KnobName, type KnobValues, knobNamed } from "../../src/web/knobs/knobs.ts";
import { CHAPTERS } from "../../src/web/knobs/page.ts";
import { chapters, openedChapter } from "../../src/web/tour/chapters.ts";

const deviceOfChosen = ({ expert }: { expert: number }) => Math.floor((expert * sizes.devices) / sizes.experts);

const numberOf = (title: string) => chapters.findIndex((chapter) => chapter.title.en === title) + 1;

/** What the reader sees in a chapter, before or after its question is answered. */
function seen(title: string, side: "left" | "right", further: Partial<KnobValues> = {}): RoutedBatch {
  const values = { ...openedChapter(initialValues, numberOf(title)), ...further };
  const outcome = routeBatch(values, values[side]);
  if ("batch" in outcome) return outcome.batch;
  throw new Error(outcome.refusal.en);
}
const shown = (title: string) => chapters[numberOf(title) - 1]!.question!.show!;

describe("the tour", () => {
  it("has as many chapters as its knob says, each with knobs that exist and values that they take", () => {
    expect(chapters).to.have.length(CHAPTERS);
    for (const { set, question, knobs, title } of chapters) {
      for (const [name, value] of Object.entries({ ...set, ...question?.show })) {
        expect(knobNamed(name as KnobName).schema.safeParse(value).success, `${title.en}: ${name}`).to.equal(true);
      }
      expect(knobs.every((name) => name in initialValues)).to.equal(true);
      if (question) expect(question.options[question.answer]).to.be.an("object");
    }
  });

  it("is right about the hottest device: twice the mean load is twice the time, about", () => {
    const { time, deviceLoad } = seen("Why devices wait", "left");
    const mean = deviceLoad.reduce((sum, load) => sum + load, 0) / deviceLoad.length;
    const ratio = time.hottestComputeSeconds / time.meanComputeSeconds;
    expect(ratio).to.be.closeTo(Math.max(...deviceLoad) / mean, 0.1);
    expect(ratio.toFixed(1)).to.equal("1.8");
  });

  it("is right about where a token travels under top-k: words of its sentence go to different numbers of devices", () => {
    const words = wordsOf(initialValues.words);
    const places = words.map(
      (_, token) => new Set(travel(words, token, "topk", initialValues.seed).chosen.map(deviceOfChosen)).size,
    );
    expect(new Set(places).size).to.be.above(1);
  });

  it("is right about chance: what it shows is near the mean that it names, and its ratio near the option", () => {
    const title = "Chance alone";
    const [few, many] = [seen(title, "left").measures.imbalance, seen(title, "left", shown(title)).measures.imbalance];
    const uniform = { experts: 64, topK: 8, devices: 8 };
    const means = [64, 1024].map((tokens) => expectedImbalanceScore(uniform, tokens, "distinct"));
    expect(means.map((mean) => mean.toFixed(2))).to.deep.equal(["0.34", "0.08"]);
    expect(few).to.be.closeTo(0.34, 0.07);
    expect(many).to.be.closeTo(0.08, 0.02);
    expect(many / few).to.be.within(1 / 6, 1 / 3);
  });

  it("is right about the paper's figure: around 0.67 with 16 tokens, around 0.08 with 1,024", () => {
    const title = "Reading the paper's Figure 2";
    const uniform = { experts: 64, topK: 8, devices: 8 };
    const means = [16, 1024].map((tokens) => expectedImbalanceScore(uniform, tokens, "distinct"));
    expect(means.map((mean) => mean.toFixed(2))).to.deep.equal(["0.67", "0.08"]);
    expect(seen(title, "left").measures.imbalance).to.be.closeTo(0.67, 0.05);
    expect(seen(title, "left", shown(title)).measures.imbalance).to.be.closeTo(0.08, 0.03);
  });

  it("is right about the loss: it evens loads and takes from the probability of the chosen", () => {
    const title = "What the auxiliary loss does";
    const [before, after] = [seen(title, "left").measures, seen(title, "left", shown(title)).measures];
    expect(after.expertMaxOverMean).to.be.below(before.expertMaxOverMean);
    expect(after.imbalance).to.be.below(before.imbalance);
    expect(after.chosenProbability).to.be.below(before.chosenProbability);
  });

  it("is right about the guarantee", () => {
    const title = "What grouping guarantees";
    expect(seen(title, "right", shown(title)).measures.imbalance).to.equal(0);
  });

  it("is right about what grouping cannot do: MoGE overflows experts, less with the loss", () => {
    const title = "What it cannot";
    const [plain, balanced] = [0, 1].map((balance) => seen(title, "right", { ...shown(title), balance }).measures);
    expect(plain!.dropRate).to.be.above(0.05);
    expect(balanced!.dropRate).to.be.below(plain!.dropRate);
    expect(plain!.imbalance).to.be.above(0); // what is dropped is no longer even
  });

  it("is right about fan-out: 5.4 against 8, and slow links decide", () => {
    const title = "Fan-out, the price";
    const [topk, moge] = [seen(title, "left", shown(title)), seen(title, "right", shown(title))];
    expect(topk.measures.fanOut).to.be.closeTo(5.43, 0.05);
    expect(moge.measures.fanOut).to.equal(8);
    expect(topk.time.stepSeconds).to.be.below(0.9 * moge.time.stepSeconds);
  });

  it("is right about balanced top-k: a hair ahead, no more, where plain top-k is far behind", () => {
    const title = "When balance no longer matters";
    const moge = seen(title, "right").time.stepSeconds;
    expect(seen(title, "left").time.stepSeconds).to.be.above(1.3 * moge);
    const balanced = seen(title, "left", shown(title)).time.stepSeconds;
    expect(balanced / moge).to.be.within(0.98, 1);
  });

  it("is right about training: the quickstart's losses are alike, and its devices are not", () => {
    const path = join(import.meta.dirname, "../../results/quickstart/summary.csv");
    const rows = csvParse(readFileSync(path, "utf8"));
    const of = (variant: string, column: string) => Number(rows.find((row) => row["variant"] === variant)![column]);
    const gap = of("moge", "validation_loss_nats_per_byte") - of("topk", "validation_loss_nats_per_byte");
    expect(Math.abs(gap)).to.be.below(0.01);
    expect(of("moge", "imbalance_score_mean")).to.equal(0);
    expect(of("topk", "imbalance_score_mean")).to.be.above(0.1);
  });

  it("is right about more devices than groups: not even any more, but more even than top-k", () => {
    const title = "More devices than groups";
    const [topk, moge] = [seen(title, "left", shown(title)), seen(title, "right", shown(title))];
    expect(moge.measures.imbalance).to.be.above(0);
    expect(moge.measures.imbalance).to.be.below(topk.measures.imbalance);
  });
});
