import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Resvg } from "@resvg/resvg-js";
import { expect } from "chai";
import fc from "fast-check";
import { spread, thinned, trailingMean } from "../../src/output/figures/figure.ts";
import { drawFigures } from "../../src/output/figures/figures.ts";
import { pngWidth } from "../../src/output/figures/render.ts";
import { palette } from "../../src/output/figures/theme.ts";
import { type FakeShape, usualShape, writeFakeRun } from "./fake-run.ts";
import { scratchDirectory } from "./scratch.ts";

const shape: FakeShape = { ...usualShape, steps: 60, experts: 16, devices: 4 };
const names = ["topk", "moge", "dense"];

/** Text of an SVG, as a reader sees it. */
const texts = (svg: string): string[] => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);

/** Attributes of the marks of one kind, in the order drawn. */
function marks(svg: string, kind: string): string[] {
  const groups = svg.split(/<g class="mark-/).filter((group) => group.startsWith(`${kind} role-mark`));
  return groups.flatMap((group) =>
    [...group.split("</g>")[0]!.matchAll(/<(?:path|line|text) ([^>]*)>/g)].map(([, mark]) => mark!),
  );
}

describe("output/figures", () => {
  const scratch = scratchDirectory();
  const drawn = async (variants = names, of = shape) => {
    const directory = scratch();
    writeFakeRun(directory, variants, of);
    const figures = await drawFigures(directory);
    return { figures, directory, svg: (name: string) => readFileSync(join(directory, `${name}.svg`), "utf8") };
  };

  it("draws a cell for each expert, recorded step, layer and routed variant", async () => {
    const svg = (await drawn()).svg("expert-load");
    expect(marks(svg, "rect")).to.have.length(16 * 6 * 2 * 2);
    expect(marks(svg, "rule")).to.have.length(3 * 2 * 2); // between four devices, in four panels
    expect(texts(svg)).to.include.members([
      "topk",
      "moge",
      "layer 0",
      "layer 1",
      "device 3",
      "optimizer step",
      "2 or more",
    ]);
    expect(texts(svg)).not.to.include("dense");
  });

  it("draws three parts for each priced variant, as long as they last", async () => {
    const { svg, directory } = await drawn();
    const bars = marks(svg("step-time"), "rect");
    expect(bars).to.have.length(6);
    const lengths = bars.map((bar) => Number(/d="M[^h]*h([\d.]+)v/.exec(bar)?.[1]));
    const seconds = readFileSync(join(directory, "summary.csv"), "utf8")
      .trim()
      .split("\n")
      .slice(1, 3)
      .flatMap((line) => line.split(",").slice(-3).map(Number));
    // compute, wait, communication; all drawn to the scale of the first
    seconds.forEach((each, i) => {
      expect(lengths[i]).to.be.closeTo((each * lengths[0]!) / seconds[0]!, 0.01);
    });
    expect(texts(svg("step-time"))).to.include.members([
      "Simulated step time",
      "simulated milliseconds a step",
      "compute",
      "wait",
      "communication",
    ]);
  });

  it("keeps a score of 0 clear of the axis", async () => {
    const svg = (await drawn()).svg("imbalance");
    const lines = marks(svg, "line").filter((line) => line.includes(palette.vermilion)); // the second variant
    expect(lines).to.have.length(2); // faint and strong
    const heights = [...lines[1]!.matchAll(/[ML][\d.]+,([\d.]+)/g)].map(([, y]) => Number(y));
    expect(new Set(heights).size, "flat").to.equal(1);
    expect(heights).to.have.length(60);
    expect(330 - heights[0]!).to.be.within(8, 20); // of 330 pixels, measured from the top
    expect(texts(svg)).to.include.members(["imbalance score (assignments per token)", "0 moge"]);
  });

  it("draws training faint, validation strong, and names every variant with its final loss", async () => {
    const svg = (await drawn()).svg("loss");
    expect(texts(svg)).to.include.members(["2.141 topk", "2.158 moge", "2.200 dense", "loss (nats per byte)"]);
    const lines = marks(svg, "line");
    expect(lines.filter((line) => line.includes('opacity="0.35"'))).to.have.length(3);
    expect(lines.filter((line) => line.includes('stroke-width="2.4"'))).to.have.length(6); // whole and enlarged
    const dashes = lines.slice(-3).map((line) => /stroke-dasharray="([^"]*)"/.exec(line)?.[1]);
    expect(new Set(dashes).size, "told apart without colour").to.equal(3);
  });

  it("leaves out what the run has no data for", async () => {
    expect((await drawn(["dense"])).figures).to.deep.equal(["loss"]);
    expect((await drawn(["moge"], { ...shape, steps: 1 })).figures).to.deep.equal([
      "loss",
      "imbalance",
      "expert-load",
      "step-time",
    ]);
  });

  it("writes PNGs of the figures' width, drawn with the packaged font", async () => {
    const { figures, directory, svg } = await drawn();
    for (const name of figures) {
      const png = readFileSync(join(directory, `${name}.png`));
      expect(png.subarray(1, 4).toString()).to.equal("PNG");
      expect(png.readUInt32BE(16), name).to.equal(pngWidth);
      // The same picture without any font: where they differ there is text.
      const bare = new Resvg(svg(name), {
        fitTo: { mode: "width", value: pngWidth },
        background: "white",
        font: { loadSystemFonts: false },
      });
      const picture = decoded(png);
      expect(picture.width).to.equal(pngWidth);
      const without = bare.render().pixels;
      let inked = 0;
      let textual = 0;
      for (let i = 0; i < without.length; i += 4) {
        if (picture.pixels[i]! < 250 || picture.pixels[i + 2]! < 250) inked++;
        if (picture.pixels[i] !== without[i]) textual++;
      }
      const all = without.length / 4;
      expect(inked / all, `${name}: share of pixels that are not white`).to.be.within(0.02, 0.8);
      expect(textual / all, `${name}: share of pixels that text changes`).to.be.above(0.005);
    }
  });

  it("gives the same bytes again, in this process and in another", async () => {
    const { figures, directory } = await drawn();
    const files = figures.flatMap((name) => [`${name}.svg`, `${name}.png`]);
    const bytes = () => files.map((file) => readFileSync(join(directory, file)).toString("base64"));
    const first = bytes();
    await drawFigures(directory);
    expect(
      bytes().map((each, i) => each === first[i]),
      "this process",
    ).to.deep.equal(files.map(() => true));
    const code = `import("${new URL("../../src/output/figures/figures.ts", import.meta.url)}").then((room) => room.drawFigures(process.argv[1]))`;
    execFileSync(process.execPath, ["--import", "tsx", "--eval", code, directory]);
    expect(
      bytes().map((each, i) => each === first[i]),
      "another process",
    ).to.deep.equal(files.map(() => true));
  });

  it("moves labels apart by the gap, keeps their order, and leaves those alone that have room", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 1, maxLength: 8 }), (wanted) => {
        const places = spread(wanted, 5);
        const byPlace = places.map((_, i) => i).sort((a, b) => places[a]! - places[b]!);
        byPlace.slice(1).forEach((label, i) => {
          expect(places[label]! - places[byPlace[i]!]!).to.be.at.least(5 - 1e-9);
          expect(wanted[label]!).to.be.at.least(wanted[byPlace[i]!]!);
        });
      }),
    );
    expect(spread([30, 10, 20], 5)).to.deep.equal([30, 10, 20]);
    expect(spread([10, 10], 4)).to.deep.equal([12, 8]); // the first stands above
  });

  it("averages what came before, and thins to means that keep the last step", () => {
    const series = [1, 2, 3, 4, 5].map((value) => ({ variant: "a", step: value, value }));
    expect(trailingMean(series, 3).map((point) => point.value)).to.deep.equal([1, 1.5, 2, 3, 4]);
    expect(thinned(series, 3)).to.deep.equal([
      { variant: "a", step: 2, value: 1.5 },
      { variant: "a", step: 4, value: 3.5 },
      { variant: "a", step: 5, value: 5 },
    ]);
  });
});

/** Pixels of a PNG file, by drawing it 1:1. */
function decoded(png: Buffer): { width: number; pixels: Buffer } {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><image width="${width}" height="${height}" href="data:image/png;base64,${png.toString("base64")}"/></svg>`;
  const image = new Resvg(svg).render();
  return { width: image.width, pixels: image.pixels };
}
