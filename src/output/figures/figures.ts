/** The table of figures, and drawing them for a finished run from its CSV files. A new one is one file and one line. */
import { join } from "node:path";
import { writeWhole } from "../../host/whole-file.ts";
import { readCsv } from "../csv.ts";
import { expertLoadFigure } from "./expert-load.ts";
import type { CsvRow, Figure } from "./figure.ts";
import { imbalanceFigure } from "./imbalance.ts";
import { lossFigure } from "./loss.ts";
import { pngOf, svgOf } from "./render.ts";
import { stepTimeFigure } from "./step-time.ts";

export const figures = {
  loss: lossFigure,
  imbalance: imbalanceFigure,
  "expert-load": expertLoadFigure,
  "step-time": stepTimeFigure,
} satisfies Record<string, Figure>;

export type FigureName = keyof typeof figures;

/**
 * Draws every figure that the run has data for, as `<name>.svg` and `<name>.png` beside its CSV files.
 * @returns the names of those drawn
 * @throws Error when a CSV file is missing
 */
export async function drawFigures(directory: string): Promise<FigureName[]> {
  const files = new Map<string, readonly CsvRow[]>();
  const read = (file: string) => {
    const rows = files.get(file) ?? readCsv(join(directory, file));
    files.set(file, rows);
    return rows;
  };
  const drawn: FigureName[] = [];
  for (const [name, figure] of Object.entries(figures) as [FigureName, Figure][]) {
    const specification = figure.specification(read);
    if (specification === undefined) continue;
    const svg = await svgOf({ description: figure.description, ...specification });
    writeWhole(join(directory, `${name}.svg`), `${svg}\n`);
    writeWhole(join(directory, `${name}.png`), await pngOf(svg));
    drawn.push(name);
  }
  return drawn;
}
