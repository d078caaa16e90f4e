/** Results of the command line, opened in the page. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { becomes, button, drop, openDesk, shows, violationsOf } from "./page.ts";

const committed = (path: string): string => join(import.meta.dirname, "../../results", path);
const text = (path: string): string => readFileSync(committed(path), "utf8");

describe("results in the page", function () {
  this.timeout(600_000);
  const desk = openDesk();

  it("draws a dropped file, and its table has the file's numbers", async () => {
    const page = await desk.open("scene=results");
    await drop(page.locator(".drop-zone"), { "steps.csv": text("quickstart/steps.csv") });
    await becomes(() => page.locator("#result .line").count(), 3);
    await page.locator("#result summary").click();
    const [header, ...lines] = text("quickstart/steps.csv").trim().split("\n");
    const at = header!.split(",").indexOf("training_loss_nats_per_byte");
    const ofStep = lines.filter((line) => line.split(",")[1] === "1").map((line) => Number(line.split(",")[at]));
    const first = async () =>
      (await page.locator("#result tbody tr").first().locator("th, td").allInnerTexts()).map(Number);
    await becomes(first, [1, ...ofStep.map((loss) => Number(loss.toPrecision(5)))]);
    await page.getByLabel("Quantity").selectOption("imbalance_score");
    await shows(page, "#result figcaption", "imbalance_score");
    await page.getByLabel("Across").selectOption({ label: "the variants" });
    await becomes(() => page.locator("#result .dot").count(), 3);
  });

  it("opens every committed result file", async () => {
    const page = await desk.open("scene=results");
    const files = [
      "quickstart/layers.csv",
      "quickstart/expert-load.csv",
      "quickstart/device-load.csv",
      "quickstart/validation.csv",
      "quickstart/saturation.csv",
      "quickstart/summary.csv",
      "moge-vs-topk/runs.csv",
      "moge-vs-topk/curves.csv",
      "moge-vs-topk/means.csv",
      "moge-vs-topk/domains.csv",
      "moge-vs-topk/experts.csv",
      "moge-vs-topk/pairs.csv",
      "groups/runs.csv",
      "capacity/capacity.csv",
      "fan-out/transfers.csv",
      "stragglers/stragglers.csv",
      "step-time/steps.csv",
      "imbalance-distribution/summary.csv",
      "imbalance-distribution/histogram.csv",
    ];
    for (const file of files) {
      const name = file.replace("/", "-");
      await drop(page.locator(".drop-zone"), { [name]: text(file) });
      await shows(page, "h2", name);
      await shows(page, "figure svg :is(path, rect, circle)");
      expect(await page.locator("[role=alert] li").count(), file).to.equal(0);
    }
  });

  it("shows the folder of a run at a glance", async () => {
    const page = await desk.open("scene=results");
    await page.getByLabel("a folder").setInputFiles(committed("quickstart"));
    await page.locator("#run-training_loss_nats_per_byte svg").waitFor();
    for (const id of ["run-imbalance_score", "run-simulated_step_seconds", "run-domains", "result-loads-0"])
      await shows(page, `figure#${id} svg`);
    await becomes(() => page.locator("#run-domains .subject").count(), 7);
    await page.getByLabel("File", { exact: true }).selectOption("summary.csv");
    await becomes(() => page.locator("#result .dot").count(), 3);
    expect(await violationsOf(page)).to.deep.equal([]);
  });

  it("shows the folder of a sweep: what varies across, its tables as files", async () => {
    const page = await desk.open("scene=results", { width: 360 });
    await page.getByLabel("a folder").setInputFiles(committed("groups"));
    await shows(page, "h2", "groups");
    await page.getByLabel("File", { exact: true }).selectOption("runs.csv");
    await becomes(() => page.getByLabel("Across").inputValue(), "model.groups");
    await shows(page, "#result .band"); // five seeds a point
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.be.at.most(360);
    expect(await violationsOf(page)).to.deep.equal([]);
  });

  it("shows what was dropped last, though what was dropped before it is read later", async () => {
    const page = await desk.open("scene=results");
    const held = await page.evaluateHandle(() => {
      const read = Blob.prototype.text;
      const reads: (() => Promise<void>)[] = [];
      Blob.prototype.text = function () {
        Blob.prototype.text = read;
        return new Promise((done) => void reads.push(async () => done(await read.call(this))));
      };
      return reads;
    });
    await drop(page.locator(".drop-zone"), { "first.csv": text("quickstart/steps.csv") });
    await becomes(() => held.evaluate(({ length }) => length), 1);
    await drop(page.locator(".drop-zone"), { "second.csv": text("quickstart/summary.csv") });
    await shows(page, "h2", "second.csv");
    await held.evaluate(async ([read]) => {
      await read!();
      await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
    });
    expect(await page.locator("h2").innerText()).to.equal("second.csv");
  });

  it("refuses what is no result in one sentence, and keeps what was open", async () => {
    const page = await desk.open("scene=results");
    const zone = page.locator(".drop-zone");
    await drop(zone, { "summary.csv": text("quickstart/summary.csv") });
    await becomes(() => page.locator("#result .dot").count(), 3);
    const cutShort = text("quickstart/validation.csv").slice(0, 500);
    mkdirSync(join(desk.folder, "empty"));
    writeFileSync(join(desk.folder, "empty/readme.md"), "nothing");
    const refused: [Record<string, string | number>, RegExp][] = [
      [{ "iris.csv": "sepal,petal\n1,2\n" }, /iris\.csv is not a result of moge: .* has sepal, petal/],
      [{ "names.csv": "variant,colour\na,red\n" }, /names\.csv is not a result of moge/],
      [{ "header.csv": "variant,step\n" }, /header\.csv has a header but no rows/],
      [{ "cut.csv": cutShort }, /cut\.csv, line \d+: \d cells where the header has 4/],
      [{ "picture.png": 100 }, /There is no CSV file in what was dropped \(picture\.png\)/],
      [{ "huge.csv": 41e6 }, /41 MB are too much for the page/],
      [{ "zeros.csv": 1000 }, /zeros\.csv is not a result of moge/],
    ];
    for (const [files, message] of refused) {
      await drop(zone, files);
      await shows(page, "[role=alert]", message);
      await becomes(() => page.locator("h2").innerText(), "summary.csv");
    }
    await page.getByLabel("a folder").setInputFiles(join(desk.folder, "empty"));
    await shows(page, "[role=alert]", "There is no CSV file in what was dropped (empty/readme.md)");
    await button(page, "Put away").click();
    await becomes(() => page.locator("[role=alert] li").count(), 0);
    await becomes(() => page.locator("#result .dot").count(), 3);
  });
});
