/** Every scene in every light, width and language: accessible, quiet, as wide as its window; pictures of it on demand. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { openDesk, shows, violationsOf } from "./page.ts";

/** A folder for pictures of the page, to be looked at. */
const shots = process.env["MOGE_SCREENSHOTS"];

const views = [
  ["journey", "step=6&router=moge"],
  ["batch", "scene=batch"],
  ["long-names", "scene=batch&left=topk-lossfree&right=expert-choice"],
  ["training", "scene=training&steps=50"],
  ["results", "scene=results"],
  ["tour", "chapter=7"],
] as const;

const looks = [
  ["light", 1280],
  ["dark", 1920],
  ["light", 360],
  ["dark", 360],
] as const;

describe("the page as it is seen", function () {
  this.timeout(600_000);
  const desk = openDesk();

  for (const [name, hash] of views) {
    for (const [colorScheme, width] of looks) {
      for (const lang of ["en", "zh"] as const) {
        it(`is accessible, quiet and as wide as its window: ${name}, ${colorScheme}, ${width} px, ${lang}`, async () => {
          const page = await desk.open(`${hash}&lang=${lang}`, { colorScheme, width });
          await shows(page, name === "results" ? ".drop-zone" : "figure.chart svg");
          expect(await violationsOf(page)).to.deep.equal([]);
          expect(await page.evaluate(() => document.documentElement.scrollWidth)).to.be.at.most(width);
          if (shots) {
            mkdirSync(shots, { recursive: true });
            await page.screenshot({ path: join(shots, `${name}-${colorScheme}-${width}-${lang}.png`), fullPage: true });
          }
        });
      }
    }
  }
});
