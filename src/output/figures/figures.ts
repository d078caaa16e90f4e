/** The table of figures, and drawing them for a finished run from its files. A new one is one file and one line. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "../../config/problem.ts";
import { resolveConfig, type Variant } from "../../config/resolve.ts";
import type { CsvRow } from "../csv.ts";
import { readCsv } from "../csv.ts";
import { expertLoadFigure } from "./expert-load.ts";
import type { Figure } from "./figure.ts";
import { imbalanceFigure } from "./imbalance.ts";
import { lossFigure } from "./loss.ts";
import { writeFigure } from "./render.ts";
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
  const variants = readVariants(join(directory, "config.yaml"));
  const drawn: FigureName[] = [];
  for (const [name, figure] of Object.entries(figures) as [FigureName, Figure][]) {
    const specification = figure.specification(read, variants);
    if (specification === undefined) continue;
    await writeFigure(directory, name, { description: figure.description, ...specification });
    drawn.push(name);
  }
  return drawn;
}

/** Figures can do without a config, and so without one that another version wrote and this one refuses. */
function readVariants(path: string): readonly Variant[] {
  if (!existsSync(path)) return [];
  try {
    return resolveConfig({ path, read: (file) => readFileSync(file, "utf8"), besides: (_, file) => file }).variants;
  } catch (error) {
    if (error instanceof ConfigError) return [];
    throw error;
  }
}
