import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Resvg } from "@resvg/resvg-js";
import { expect } from "chai";
import fc from "fast-check";
import { shortened, wrapped } from "../../src/output/figures/figure.ts";
import { drawFigures } from "../../src/output/figures/figures.ts";
import { fontFiles, textWidth } from "../../src/output/figures/font-metrics.ts";
import { pngWidth } from "../../src/output/figures/render.ts";
import { figureWidth, variantScales } from "../../src/output/figures/theme.ts";
import { RunWriter } from "../../src/output/run-writer.ts";
import { type FakeShape, fakeSteps, fakeVariant, manners, usualShape } from "./fake-run.ts";
import { scratchDirectory } from "./scratch.ts";

const shape: FakeShape = { ...usualShape, steps: 60, experts: 16, devices: 4 };
const figureNames = ["loss", "imbalance", "expert-load", "step-time"];

/** Variants of any name, each with the routing of one of the known manners. */
function writeRun(directory: string, variants: readonly (readonly [name: string, shape: FakeShape])[]): void {
  const writer = new RunWriter(
    directory,
    variants.map(([name, own]) => fakeVariant(name, own)),
  );
  variants.forEach(([name, own], i) => {
    const manner = Object.keys(manners)[i % Object.keys(manners).length]!;
    for (const step of fakeSteps(manner, own)) writer.step(name, step);
    writer.finishVariant(name, { parameters: 1_234_567, tokens: own.steps * own.tokens });
  });
  writer.close();
}

interface Box {
  readonly text: string;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Where the texts of an SVG stand; those that are turned are left out. */
function boxes(svg: string): Box[] {
  const found: Box[] = [];
  const origins = [{ x: 0, y: 0 }];
  const attribute = (tag: string, name: string) => new RegExp(` ${name}="([^"]*)"`).exec(tag)?.[1];
  const moved = (tag: string) => {
    const [, x = 0, y = 0] = /translate\(([^,)]*),([^)]*)\)/.exec(attribute(tag, "transform") ?? "") ?? [];
    return { x: origins.at(-1)!.x + Number(x), y: origins.at(-1)!.y + Number(y) };
  };
  let block = ""; // the text that lines belong to
  let down = 0;
  for (const [, tag = "", text = ""] of svg.matchAll(/(<g(?: [^>]*)?>|<\/g>|<text[^>]*>|<tspan[^>]*>)([^<]*)/g)) {
    if (tag === "</g>") origins.pop();
    else if (tag.startsWith("<g")) origins.push(moved(tag));
    else {
      if (tag.startsWith("<text")) block = tag;
      down = tag.startsWith("<text") ? 0 : down + Number(attribute(tag, "dy") ?? 0);
      if (text === "" || block.includes("rotate")) continue;
      const size = Number(/([\d.]+)px/.exec(attribute(block, "font-size") ?? "")![1]);
      const width = textWidth(text, size, attribute(block, "font-weight") === "bold" ? "bold" : "normal");
      const { x, y } = moved(block);
      const left = x - { start: 0, middle: 0.5, end: 1 }[attribute(block, "text-anchor") ?? "start"]! * width;
      found.push({ text, left, right: left + width, top: y + down - 0.7 * size, bottom: y + down });
    }
  }
  return found;
}

const overlaps = (all: readonly Box[]): string[] =>
  all.flatMap((a, i) =>
    all
      .slice(i + 1)
      .filter((b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
      .map((b) => `${a.text} | ${b.text}`),
  );

const texts = (svg: string): string[] => [...svg.matchAll(/<(?:text|tspan)[^>]*>([^<]+)</g)].map(([, text]) => text!);
const times = (svg: string, text: string): number => texts(svg).filter((each) => each === text).length;
const widthOf = (svg: string): number => Number(/ width="([\d.]+)"/.exec(svg)?.[1]);

describe("output/figures, layout", () => {
  const scratch = scratchDirectory();
  const drawn = async (variants: readonly (readonly [string, FakeShape])[], config?: string) => {
    const directory = scratch();
    writeRun(directory, variants);
    if (config !== undefined) writeFileSync(join(directory, "config.yaml"), config);
    await drawFigures(directory);
    return {
      svg: (name: string) => readFileSync(join(directory, `${name}.svg`), "utf8"),
      png: (name: string) => readFileSync(join(directory, `${name}.png`)),
    };
  };

  it("labels each panel of the expert loads by its own variant's devices", async () => {
    const svg = (
      await drawn([
        ["d8", { ...shape, experts: 16, devices: 8 }],
        ["d4", { ...shape, experts: 16, devices: 4 }],
        ["d2", { ...shape, experts: 8, devices: 2, layers: 1 }],
      ])
    ).svg("expert-load");
    expect([0, 1, 2, 3, 4, 7].map((device) => times(svg, `device ${device}`))).to.deep.equal([5, 5, 4, 4, 2, 2]);
    const lines = [...svg.matchAll(/class="mark-rule role-mark[\s\S]*?<\/g>/g)].map(
      ([group]) => group.split("<line").length - 1,
    );
    expect(lines).to.deep.equal([7, 3, 1, 7, 3]);
    // Fewer experts have higher cells: every panel is filled to its last pixel.
    const height = 210;
    const panels = [...svg.matchAll(/class="mark-rect role-mark[\s\S]*?<\/g>/g)].map(([group]) =>
      [...group.matchAll(/ d="M[\d.-]+,([\d.-]+)h[\d.-]+v([\d.-]+)h/g)].map(([, y, h]) => Number(y) + Number(h)),
    );
    expect(panels).to.have.length(5);
    for (const bottoms of panels) expect(Math.max(...bottoms)).to.be.closeTo(height, 0.02);
    expect(overlaps(boxes(svg))).to.deep.equal([]);
  });

  it("labels the devices once where all variants have the same", async () => {
    const svg = (
      await drawn([
        ["a", shape],
        ["b", shape],
      ])
    ).svg("expert-load");
    expect([times(svg, "device 0"), times(svg, "device 3")]).to.deep.equal([2, 2]); // two layers
  });

  it("says what was pooled, and only then", async () => {
    const subtitle = async (own: FakeShape) =>
      texts((await drawn([["a", own]])).svg("expert-load")).filter((text) => text.startsWith("Cells"));
    expect(await subtitle(shape)).to.deep.equal([]);
    expect(await subtitle({ ...shape, steps: 600, every: 1 })).to.deep.equal(["Cells: means of 3 recorded steps."]);
    expect(await subtitle({ ...shape, experts: 4096, layers: 1 })).to.deep.equal([
      "Cells: means of 13 neighbouring experts of a device.",
    ]);
  });

  it("draws no more cells for thousands of experts than can be seen", async () => {
    const svg = (await drawn([["a", { ...shape, experts: 8190, devices: 5, layers: 1, steps: 20 }]])).svg(
      "expert-load",
    );
    const cells = [...svg.matchAll(/class="mark-rect role-mark[\s\S]*?<\/g>/g)][0]![0].split("<path").length - 1;
    expect(cells).to.be.within(2 * 300, 2 * 330);
  });

  it("keeps twelve variants with long names apart and readable", async () => {
    const names = Array.from({ length: 12 }, (_, i) => `a-very-long-variant-name-${i + 1}`);
    const { svg } = await drawn(names.map((name) => [name, shape]));
    for (const name of figureNames) {
      expect(overlaps(boxes(svg(name))), name).to.deep.equal([]);
      expect(widthOf(svg(name)), name).to.be.within(figureWidth - 10, figureWidth + 10);
      const all = texts(svg(name)).join("");
      for (const variant of names) expect(all, name).to.contain(variant);
    }
  });

  it("fills the width whatever the names", async () => {
    for (const names of [
      ["a", "b"],
      ["a-name-of-middling-length", "b"],
      ["x".repeat(100), `${"x".repeat(99)}y`],
    ]) {
      const { svg, png } = await drawn(names.map((name) => [name, shape]));
      for (const name of ["loss", "imbalance", "step-time"]) {
        expect(widthOf(svg(name)), name).to.be.within(figureWidth - 10, figureWidth + 10);
        expect(whiteAtTheRight(png(name)), `${name}: pixels`).to.be.within(20, 50); // two a CSS pixel; the padding is 28
      }
    }
  });

  const yaml = (target: string, b: string) => `
name: q
data: { kind: synthetic }
model: { experts: 16 }
target: { experts: 16, ${target} }
variants: [{ name: a, set: { model.groups: 8 } }, { name: b, set: { ${b} } }]
`;
  const stepTime = async (config?: string) =>
    texts(
      (
        await drawn(
          [
            ["a", shape],
            ["b", shape],
          ],
          config,
        )
      ).svg("step-time"),
    );

  it("names the priced layer and its machine, for each variant where they differ", async () => {
    expect(await stepTime(yaml("name: A layer", "router.selection: moge"))).to.include.members([
      "A layer on 8 × Ascend 910B2, forward and backward.",
      "Mean over the last half of the steps. Simulated, not measured.",
      "a",
      "b",
    ]);
    expect(await stepTime(yaml("name: A layer", "cluster.device: ascend-910b4"))).to.include.members([
      "MoE layers of the target, forward and backward.",
      "a: A layer on 8 × Ascend 910B2",
      "b: A layer on 8 × Ascend 910B4",
    ]);
  });

  it("leaves the machine out where the config is missing or refused", async () => {
    for (const config of [undefined, "name: q\nunknown: 1\n"]) {
      expect(await stepTime(config)).to.include("MoE layers of the target, forward and backward.");
    }
  });

  it("marks in the left panel of the loss what the right one enlarges", async () => {
    const svg = (await drawn([["a", shape]])).svg("loss");
    const box = / d="M([\d.]+),([\d.]+)h([\d.]+)v([\d.]+)h[^"]*"[^>]*fill-opacity="0.07"/.exec(svg)!;
    const [x, y, width, height] = box.slice(1).map(Number) as [number, number, number, number];
    expect(width / (x + width), "the last half").to.be.closeTo(0.5, 0.01);
    const strong = [...svg.matchAll(/<path[^>]* d="(M[^"]*)"[^>]*stroke-width="2.4"/g)].map(([, d]) =>
      [...d!.matchAll(/[ML]([\d.]+),([\d.]+)/g)].map(([, px, py]) => [Number(px), Number(py)] as const),
    );
    const late = strong[0]!.filter(([px]) => px >= x).map(([, py]) => py);
    // The enlarged panel has 6 % of air above and below its values.
    const air = (0.06 / 1.12) * height;
    expect(Math.min(...late) - y).to.be.closeTo(air, 0.1);
    expect(y + height - Math.max(...late)).to.be.closeTo(air, 0.1);
  });

  it("knows how wide text is in the packaged font", () => {
    for (const weight of ["normal", "bold"] as const) {
      for (const letter of ["i", "m", "0", "-", "é", "×", "…", "Я"]) {
        const box = (text: string) =>
          new Resvg(
            `<svg xmlns="http://www.w3.org/2000/svg" width="9000" height="200"><text y="100" font-family="DejaVu Sans" font-weight="${weight}" font-size="100">${text}</text></svg>`,
            { font: { loadSystemFonts: false, fontFiles: Object.values(fontFiles) } },
          ).getBBox()!.width;
        const ten = box(letter.repeat(20)) - box(letter.repeat(10));
        expect(textWidth(letter.repeat(10), 100, weight), `${letter}, ${weight}`).to.be.closeTo(ten, 1);
      }
    }
  });

  it("wraps and shortens names without losing what tells them apart", () => {
    expect(wrapped("a-very-long-variant-name-07", 15)).to.deep.equal(["a-very-long-", "variant-name-07"]);
    expect(shortened("a-very-long-variant-name-07", 11)).to.equal("a-ver…me-07");
    fc.assert(
      fc.property(fc.stringMatching(/^[\w.-]{1,60}$/), fc.integer({ min: 4, max: 30 }), (name, letters) => {
        expect(wrapped(name, letters).join("")).to.equal(name);
        for (const line of wrapped(name, letters)) expect(line.length).to.be.at.most(letters);
        expect(shortened(name, letters).length).to.equal(Math.min(name.length, letters));
      }),
    );
  });

  it("gives no two of 49 variants the same colour and dash", () => {
    const { colour, dash } = variantScales(Array.from({ length: 49 }, (_, i) => `v${i}`));
    expect(new Set(colour.range.map((each, i) => `${each} ${dash.range[i]!}`)).size).to.equal(49);
  });
});

/** Columns of pixels at the right edge of a PNG that have no ink. */
function whiteAtTheRight(png: Buffer): number {
  const height = png.readUInt32BE(20);
  const image = new Resvg(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${pngWidth}" height="${height}"><image width="${pngWidth}" height="${height}" href="data:image/png;base64,${png.toString("base64")}"/></svg>`,
  ).render().pixels;
  let white = 0;
  const inked = (column: number) => {
    for (let row = 0; row < height; row++) if (image[4 * (row * pngWidth + column)]! < 200) return true;
    return false;
  };
  while (!inked(pngWidth - 1 - white)) white++;
  return white;
}
