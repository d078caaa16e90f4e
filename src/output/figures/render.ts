/** A Vega-Lite specification to SVG, and SVG to PNG. Same specification, same bytes; both libraries are loaded on first use. */
import { join } from "node:path";
import type { TopLevelSpec } from "vega-lite";
import { writeWhole } from "../../host/whole-file.ts";
import { fontFiles, textWidth } from "./font-metrics.ts";
import { figureWidth, theme } from "./theme.ts";

/** Width of the PNG in pixels: two for each of the figure's. */
export const pngWidth = 2 * figureWidth;

/** Writes `<name>.svg` and `<name>.png` in the directory. */
export async function writeFigure(directory: string, name: string, specification: TopLevelSpec): Promise<void> {
  const svg = await svgOf(specification);
  writeWhole(join(directory, `${name}.svg`), `${svg}\n`);
  writeWhole(join(directory, `${name}.png`), await pngOf(svg));
}

/** @throws Error when vega has anything to complain about */
async function svgOf(specification: TopLevelSpec): Promise<string> {
  const [vega, vegaLite] = await Promise.all([import("vega"), import("vega-lite")]);
  const complaints: string[] = [];
  const complain = (...messages: unknown[]) => {
    complaints.push(messages.join(" "));
    return logger;
  };
  const quiet = () => logger;
  const logger = { level: () => logger, error: complain, warn: complain, info: quiet, debug: quiet } as never;
  const { spec } = vegaLite.compile(specification, { config: theme, logger });
  // Without a canvas vega takes a letter for 0.8 em and leaves a third of the figure blank.
  (vega as unknown as VegaWithMetrics).textMetrics.width = itemWidth;
  // Clip paths are numbered across figures otherwise.
  vega.resetSVGDefIds();
  const view = new vega.View(vega.parse(spec), { renderer: "none", logger, loader: offline });
  const svg = await view.toSVG();
  view.finalize();
  if (complaints.length > 0) throw new Error(`vega: ${complaints.join("; ")}`);
  return withShortCoordinates(svg);
}

/** Figures are drawn from what is written in them: nothing is fetched. */
const refuse = (uri: string) => Promise.reject(new Error(`${uri} is not read; the rows are the figure's data`));
const offline = { load: refuse, sanitize: refuse, http: refuse, file: refuse } as never;

/** Coordinates to a hundredth of a pixel: a third of the file less, and no last bits that differ between hosts. */
const withShortCoordinates = (svg: string): string =>
  svg.replace(/ (?:d|transform)="[^"]*"/g, (attribute) =>
    attribute.replace(/-?\d*\.\d{3,}(?:e-?\d+)?/g, (coordinate) => String(Math.round(Number(coordinate) * 100) / 100)),
  );

interface TextItem {
  readonly text?: unknown;
  readonly fontSize?: number;
  readonly fontWeight?: unknown;
}
interface VegaWithMetrics {
  textMetrics: { width: (item: TextItem, line?: unknown) => number };
}

const itemWidth = ({ text, fontSize = 11, fontWeight }: TextItem, line: unknown = text): number =>
  textWidth(String(line ?? ""), fontSize, fontWeight === "bold" ? "bold" : "normal");

/** @returns the PNG file, `pngWidth` pixels wide, on white */
async function pngOf(svg: string): Promise<Buffer> {
  const { Resvg } = await import("@resvg/resvg-js");
  const rendered = new Resvg(svg, {
    fitTo: { mode: "width", value: pngWidth },
    background: "white",
    font: { loadSystemFonts: false, fontFiles: Object.values(fontFiles), defaultFontFamily: "DejaVu Sans" },
  }).render();
  return rendered.asPng();
}
