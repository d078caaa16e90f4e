/** Heat map of the expert loads: experts down, in the order of the devices; steps across; a panel a variant and layer. */
import type { TopLevelSpec } from "vega-lite";
import { type CsvRow, type Figure, mean, variantsOf } from "./figure.ts";

/** Cells of the whole figure: the file grows with them, and finer ones cannot be seen. */
const mostCells = 8_000;
const mostLayers = 3;
const mostDeviceLabels = 8;
const panelsWidth = 540;
/** Cells reach a little under their right and lower neighbours, which are drawn later: no seams. */
const overlap = 0.15;

interface Panel {
  readonly variant: string;
  readonly layer: number;
}

interface Load {
  readonly step: number;
  readonly expert: number;
  readonly device: number;
  readonly assignments: number;
}

export const expertLoadFigure: Figure = {
  description: "Load of every expert over the mean expert, experts by optimizer step, one panel a variant and layer",
  specification(read) {
    const rows = read("expert-load.csv");
    if (rows.length === 0) return undefined;
    const variants = variantsOf(rows);
    const layers = someOf(distinct(rows, "layer"), mostLayers);
    const experts = distinct(rows, "expert").length;
    const devices = distinct(rows, "device").length;
    const width = Math.floor(panelsWidth / variants.length);
    const columns = Math.max(4, Math.floor(mostCells / (variants.length * layers.length * experts)));
    const panels = variants.flatMap((variant) => layers.map((layer) => ({ variant, layer })));
    const values = panels.flatMap((panel) => {
      const loads = rows
        .filter((row) => row["variant"] === panel.variant && Number(row["layer"]) === panel.layer)
        .map(load);
      return [...cells(panel, loads, columns), ...deviceEdges(panel, loads)];
    });
    return {
      title: {
        text: "Load of the experts",
        subtitle: "Assignments over the mean expert's, 1 is an even share. Lines separate the devices.",
      },
      spacing: { row: 14, column: 16 },
      data: { values },
      facet: {
        column: {
          field: "variant",
          type: "nominal",
          sort: variants,
          title: null,
          header: { labelFontWeight: "bold", labelLimit: width },
        },
        row: { field: "layer", type: "ordinal", title: null, header: { labelExpr: "'layer ' + datum.value" } },
      },
      spec: {
        width,
        height: layers.length > 1 ? 210 : 330,
        layer: [heat(experts, devices), edgeLines(devices)],
      },
    } as TopLevelSpec;
  },
};

const distinct = (rows: readonly CsvRow[], column: string): number[] =>
  [...new Set(rows.map((row) => Number(row[column])))].sort((a, b) => a - b);

/** At most `most` of them, evenly spaced, the first and the last among them. */
const someOf = (values: readonly number[], most: number): number[] =>
  values.length <= most
    ? [...values]
    : Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))]!);

const load = (row: CsvRow): Load => ({
  step: Number(row["step"]),
  expert: Number(row["expert"]),
  device: Number(row["device"]),
  assignments: Number(row["assignments"]),
});

/** One cell an expert and stretch of recorded steps: the mean of load over mean load. */
function cells(panel: Panel, loads: readonly Load[], columns: number) {
  const steps = [...new Set(loads.map((each) => each.step))];
  const stretch = Math.ceil(steps.length / columns);
  const stretches = Array.from({ length: Math.ceil(steps.length / stretch) }, (_, i) =>
    steps.slice(i * stretch, (i + 1) * stretch),
  );
  const byStep = new Map(steps.map((step) => [step, byDevice(loads.filter((each) => each.step === step))]));
  return stretches.flatMap((part, i) => {
    const from = stretches[i - 1]?.at(-1) ?? 0;
    const to = part.at(-1)!;
    const relative = part.map((step) => {
      const assignments = byStep.get(step)!.map((each) => each.assignments);
      const middle = mean(assignments);
      return assignments.map((each) => each / middle);
    });
    return relative[0]!.map((_, place) => ({
      ...panel,
      from,
      to: to + (i + 1 < stretches.length ? overlap * (to - from) : 0),
      place,
      below: place + (place + 1 < relative[0]!.length ? 1 + overlap : 1),
      load: Number(mean(relative.map((each) => each[place]!)).toPrecision(4)),
    }));
  });
}

const byDevice = (loads: readonly Load[]): Load[] =>
  [...loads].sort((a, b) => a.device - b.device || a.expert - b.expert);

/** Where the experts of one device end and those of the next begin. */
function deviceEdges(panel: Panel, loads: readonly Load[]) {
  const ordered = byDevice(loads.filter((each) => each.step === loads[0]!.step));
  return ordered.flatMap(({ device }, place) =>
    place > 0 && device !== ordered[place - 1]!.device ? [{ ...panel, edge: place }] : [],
  );
}

const heat = (experts: number, devices: number) => ({
  transform: [{ filter: "isValid(datum.load)" }],
  mark: { type: "rect", aria: false },
  encoding: {
    x: {
      field: "from",
      type: "quantitative",
      title: "optimizer step",
      scale: { nice: false, zero: true },
      axis: { grid: false, tickCount: 3, tickMinStep: 1 },
    },
    x2: { field: "to" },
    y: {
      field: "place",
      type: "quantitative",
      title: "experts by device",
      scale: { domain: [experts, 0], nice: false },
      axis: deviceAxis(experts, devices),
    },
    y2: { field: "below" },
    color: {
      field: "load",
      type: "quantitative",
      scale: { scheme: "blueorange", domain: [0, 2], domainMid: 1, clamp: true },
      legend: {
        title: ["load over", "mean load"],
        values: [0, 0.5, 1, 1.5, 2],
        labelExpr: "datum.value === 2 ? '2 or more' : format(datum.value, '')",
        gradientLength: 180,
      },
    },
  },
});

/** A label in the middle of each device's experts, or of some devices' when there are many. */
function deviceAxis(experts: number, devices: number) {
  const each = experts / devices;
  const shown = someOf(
    Array.from({ length: devices }, (_, device) => device),
    mostDeviceLabels,
  );
  return {
    tickCount: shown.length,
    values: shown.map((device) => (device + 0.5) * each),
    labelExpr: `'device ' + floor(datum.value / ${each})`,
    labelOverlap: false,
    labelFontSize: 11,
    grid: false,
    ticks: false,
    domain: false,
  };
}

const edgeLines = (devices: number) => ({
  transform: [{ filter: "isValid(datum.edge)" }],
  mark: { type: "rule", color: "#222222", strokeWidth: devices > 2 * mostDeviceLabels ? 0.3 : 0.8, aria: false },
  encoding: { y: { field: "edge", type: "quantitative" } },
});
