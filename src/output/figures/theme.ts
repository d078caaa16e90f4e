/** How every figure looks: one font, one palette, one grid. */
import type { Config } from "vega-lite";

/**
 * Colours that colour-blind readers tell apart, darkened where the original is too light for lines on white.
 * Source: Okabe and Ito, Color Universal Design, 2008.
 */
export const palette = {
  blue: "#0072B2",
  vermilion: "#D55E00",
  green: "#009E73",
  purple: "#AA4499",
  orange: "#E69F00",
  sky: "#56B4E9",
  black: "#000000",
} as const;

const styles = [
  { colour: palette.blue, dash: [1, 0], shape: "circle" },
  { colour: palette.vermilion, dash: [7, 3], shape: "square" },
  { colour: palette.green, dash: [2, 2], shape: "triangle-up" },
  { colour: palette.purple, dash: [8, 3, 2, 3], shape: "diamond" },
  { colour: palette.orange, dash: [12, 4], shape: "cross" },
  { colour: palette.sky, dash: [4, 4], shape: "triangle-down" },
  { colour: palette.black, dash: [1, 3], shape: "triangle-right" },
] as const;

/** Variants differ by colour, dash and shape, the same ones in every figure; colours that come again have another dash. */
export function variantScales(variants: readonly string[]) {
  const of = <K extends keyof (typeof styles)[number]>(key: K) =>
    variants.map((_, i) => styles[(i + Math.floor(i / styles.length)) % styles.length]![key]);
  return {
    colour: { domain: [...variants], range: variants.map((_, i) => styles[i % styles.length]!.colour) },
    dash: { domain: [...variants], range: of("dash").map((dash) => [...dash]) },
    shape: { domain: [...variants], range: of("shape") },
  };
}

/** Parts of the step time, darkest where devices do useful work. */
export const partColours = { compute: palette.blue, wait: palette.orange, communication: "#999999" } as const;

/** The PNGs use the first, which is packaged; browsers without it take one of about the same widths. */
const font = "DejaVu Sans, Verdana, sans-serif";
const ink = "#222222";
export const softInk = "#555555";

/** Width of a whole figure in CSS pixels, about. */
export const figureWidth = 800;
const padding = 14;
/** What the padding leaves of it. */
export const contentWidth = figureWidth - 2 * padding;

export const theme: Config = {
  background: "white",
  font,
  padding,
  title: {
    anchor: "start",
    frame: "group",
    fontSize: 16,
    fontWeight: "bold",
    color: ink,
    offset: 14,
    subtitleFontSize: 12,
    subtitleColor: softInk,
    subtitlePadding: 6,
  },
  axis: {
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: "normal",
    titleColor: ink,
    labelColor: softInk,
    titlePadding: 8,
    gridColor: "#e6e6e6",
    domainColor: "#888888",
    tickColor: "#888888",
    tickCount: 6,
  },
  legend: {
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: "normal",
    labelColor: ink,
    titleColor: ink,
    labelLimit: 300,
    symbolSize: 90,
    symbolStrokeWidth: 2.2,
  },
  header: { labelFontSize: 13, titleFontSize: 12, labelColor: ink, titleColor: ink },
  text: { font, fontSize: 12, color: ink },
  view: { stroke: null },
};
