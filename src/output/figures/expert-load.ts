/** Heat maps of the expert loads: experts down, in the order of the devices; steps across; a panel a variant and layer. */
import type { TopLevelSpec } from "vega-lite";
import { type Block, type Cells, deviceBlocks, pooledCells, type Recorded, recordedLayers } from "./expert-cells.ts";
import { extent, type Figure, someOf, wrapped } from "./figure.ts";
import { softInk } from "./theme.ts";

/** Cells of the whole figure, but no fewer than the second a panel: the file grows with them, and finer ones cannot be seen. */
const mostCells = 8_000;
const fewestPanelCells = 400;
const mostColumns = 4;
const mostLayers = 3;
const panelsWidth = 606;
const gap = 16;
/** Room for the labels of the devices between panels. */
const labelGap = 74;
const devicesWithLines = 64;

interface Panel {
  readonly recorded: Recorded;
  readonly blocks: readonly Block[];
  readonly drawn: Cells;
}

/** Sizes that all panels share. */
interface Grid {
  readonly width: number;
  readonly height: number;
  readonly lastStep: number;
}

export const expertLoadFigure: Figure = {
  description: "Load of every expert over the mean expert, experts by optimizer step, one panel a variant and layer",
  rows: "expert-load.csv",
  specification(read) {
    const rows = read("expert-load.csv");
    if (rows.length === 0) return undefined;
    const bands = bandsOf([...recordedLayers(rows).values()].map((layers) => someOf(layers, mostLayers)));
    const lines = bands.flat().length;
    const columns = bands[0]![0]!.length;
    const height = lines === 1 ? 330 : Math.min(210, Math.max(90, Math.floor(640 / lines)));
    const mostPanelCells = Math.max(fewestPanelCells, Math.floor(mostCells / (lines * columns)));
    const panels = bands.map((band) =>
      band.map((line) => line.map((recorded) => recorded && panelOf(recorded, mostPanelCells, height))),
    );
    const all = panels.flat(2).filter((panel) => panel !== undefined);
    const labelAll = !panels.flat().every(sameDevices);
    const between = labelAll ? labelGap : gap;
    const grid = {
      width: Math.floor((panelsWidth - (columns - 1) * between) / columns),
      height,
      lastStep: extent(all.flatMap(({ recorded }) => [...recorded.totals.keys()]))[1],
    };
    return {
      title: { text: "Load of the experts", subtitle: subtitle(all) },
      spacing: 18,
      vconcat: panels.flatMap((band) =>
        band.map((line, i) => ({
          spacing: between,
          bounds: "flush",
          hconcat: line.map((panel, column) =>
            panelView(panel, grid, {
              name: i === 0,
              steps: band[i + 1]?.[column] === undefined,
              devices: column === 0 || labelAll,
              title: column === 0,
            }),
          ),
        })),
      ),
    } as TopLevelSpec;
  },
};

/** Bands of a few variants side by side, a line a layer; undefined where a variant has fewer layers than its neighbours. */
function bandsOf(variants: readonly (readonly Recorded[])[]): (Recorded | undefined)[][][] {
  const bands = Math.ceil(variants.length / mostColumns);
  const columns = Math.ceil(variants.length / bands);
  return Array.from({ length: bands }, (_, i) => {
    const band = variants.slice(i * columns, (i + 1) * columns);
    const lines = Math.max(...band.map((layers) => layers.length));
    return Array.from({ length: lines }, (_, line) => band.map((layers) => layers[line]));
  });
}

const panelOf = (recorded: Recorded, mostPanelCells: number, height: number): Panel => ({
  recorded,
  blocks: deviceBlocks(recorded),
  drawn: pooledCells(recorded, mostPanelCells, height),
});

/** Whether the labels of the first panel are right for its neighbours too. */
function sameDevices(line: readonly (Panel | undefined)[]): boolean {
  const layouts = line.map((panel) => panel && JSON.stringify(panel.blocks));
  return layouts.every((layout) => layout === undefined || layout === layouts[0]);
}

function subtitle(panels: readonly Panel[]): string[] {
  const most = (of: (cells: Cells) => number) => {
    const values = panels.map(({ drawn }) => of(drawn));
    const [least, largest] = extent(values);
    return `${least === largest ? "" : "up to "}${largest}`;
  };
  const some = (of: (cells: Cells) => number) => panels.some(({ drawn }) => of(drawn) > 1);
  const whose = panels.every(({ drawn }) => drawn.withinDevices) ? " of a device" : "";
  const pooled = [
    some((cells) => cells.pooledExperts)
      ? [`${most((cells) => cells.pooledExperts)} neighbouring experts${whose}`]
      : [],
    some((cells) => cells.pooledSteps) ? [`${most((cells) => cells.pooledSteps)} recorded steps`] : [],
  ].flat();
  const lines = panels.some(hasLines) ? " Lines separate the devices." : "";
  return [
    `Assignments over the mean expert's, 1 is an even share.${lines}`,
    ...(pooled.length > 0 ? [`Cells: means of ${pooled.join(" and ")}.`] : []),
  ];
}

const hasLines = ({ blocks }: Panel): boolean => blocks.length > 1 && blocks.length <= devicesWithLines;

/** What is written around a panel: its variant's name, the steps below it, the devices and what the axis is at its left. */
interface Shown {
  readonly name: boolean;
  readonly steps: boolean;
  readonly devices: boolean;
  readonly title: boolean;
}

function panelView(panel: Panel | undefined, { width, height, lastStep }: Grid, shown: Shown) {
  if (panel === undefined) return { width, height, data: { values: [] }, mark: "point" };
  const y = { type: "quantitative", scale: { domain: [panel.recorded.experts.length, 0], nice: false } };
  return {
    width,
    height,
    title: panelTitle(panel.recorded, width, shown),
    layer: [
      {
        data: { values: panel.drawn.cells },
        mark: { type: "rect", aria: false },
        encoding: {
          x: {
            field: "from",
            type: "quantitative",
            title: "optimizer step",
            scale: { domain: [0, lastStep], nice: false },
            axis: shown.steps ? { grid: false, tickCount: width > 120 ? 3 : 2, tickMinStep: 1, titlePadding: 4 } : null,
          },
          x2: { field: "to" },
          y: { ...y, field: "place", title: null, axis: shown.devices ? deviceAxis(panel, height, shown) : null },
          y2: { field: "below" },
          color: loadColour,
        },
      },
      ...(hasLines(panel) ? [deviceLines(panel, y)] : []),
    ],
  };
}

/** The name stands over the first layer alone; its column goes on below. */
function panelTitle({ variant, layer }: Recorded, width: number, { name }: Shown) {
  const place = { fontSize: 13, offset: 5, subtitlePadding: 2 };
  const below = `layer ${layer}`;
  return name
    ? { ...place, text: wrapped(variant, Math.floor(width / 9)), subtitle: below }
    : { ...place, text: below, fontSize: 12, fontWeight: "normal", color: softInk };
}

const loadColour = {
  field: "load",
  type: "quantitative",
  scale: { scheme: "blueorange", domain: [0, 2], domainMid: 1, clamp: true },
  legend: {
    title: ["load over", "mean load"],
    values: [0, 0.5, 1, 1.5, 2],
    labelExpr: "datum.value === 2 ? '2 or more' : format(datum.value, '')",
    gradientLength: 180,
  },
};

/** A label in the middle of each device's experts, or of some devices' when there are many. */
function deviceAxis({ blocks }: Panel, height: number, { title }: Shown) {
  const every = Math.ceil(blocks.length / Math.min(8, Math.floor(height / 14)));
  const shown = blocks.filter((_, i) => i % every === 0);
  const middles = shown.map(({ start, end }) => (start + end) / 2);
  const labels = shown.map(({ device }) => `device ${device}`);
  return {
    title: title ? (height > 130 ? "experts by device" : "experts") : null,
    values: middles,
    tickCount: middles.length,
    labelExpr: `${JSON.stringify(labels)}[indexof(${JSON.stringify(middles)}, datum.value)]`,
    labelOverlap: false,
    labelFontSize: 11,
    grid: false,
    ticks: false,
    domain: false,
  };
}

const deviceLines = ({ blocks }: Panel, y: object) => ({
  data: { values: blocks.slice(1).map(({ start }) => ({ edge: start })) },
  mark: { type: "rule", color: "#222222", strokeWidth: blocks.length > 16 ? 0.3 : 0.8, aria: false },
  encoding: { y: { ...y, field: "edge" } },
});
