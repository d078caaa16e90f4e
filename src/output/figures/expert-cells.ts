/** Expert loads as the cells of heat maps: neighbouring experts and recorded steps pooled until they fit. Time is linear in the rows. */
import type { CsvRow } from "../csv.ts";

/** What one variant recorded of one layer. */
export interface Recorded {
  readonly variant: string;
  readonly layer: number;
  readonly rows: readonly CsvRow[];
  /** Assignments of all experts, by recorded step, ascending. */
  readonly totals: ReadonlyMap<number, number>;
  /** In the order of the devices that hold them. */
  readonly experts: readonly { readonly expert: number; readonly device: number }[];
}

/** Experts of one device, as places in the order of the devices. */
export interface Block {
  readonly device: number;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export interface Cell {
  /** Optimizer steps. */
  readonly from: number;
  readonly to: number;
  /** Places of experts. */
  readonly place: number;
  readonly below: number;
  /** Mean of load over mean load. */
  readonly load: number;
}

export interface Cells {
  readonly cells: readonly Cell[];
  /** Of the widest and of the highest cell. */
  readonly pooledSteps: number;
  readonly pooledExperts: number;
  /** No cell holds experts of two devices. */
  readonly withinDevices: boolean;
}

/** Cells reach a little under their right and lower neighbours, which are drawn later: no seams. */
const overlap = 0.15;

/** By variant, in order of first appearance, then by layer. */
export function recordedLayers(rows: readonly CsvRow[]): Map<string, Recorded[]> {
  const variants = new Map<string, Map<number, CsvRow[]>>();
  for (const row of rows) {
    const layers = entry(variants, row["variant"]!, () => new Map<number, CsvRow[]>());
    entry(layers, Number(row["layer"]), () => []).push(row);
  }
  return new Map(
    [...variants].map(([variant, layers]) => [
      variant,
      [...layers].sort(([a], [b]) => a - b).map(([layer, own]) => recorded(variant, layer, own)),
    ]),
  );
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key);
  if (found !== undefined) return found;
  const made = make();
  map.set(key, made);
  return made;
}

function recorded(variant: string, layer: number, rows: readonly CsvRow[]): Recorded {
  const totals = new Map<number, number>();
  const devices = new Map<number, number>();
  for (const row of rows) {
    const step = Number(row["step"]);
    totals.set(step, (totals.get(step) ?? 0) + Number(row["assignments"]));
    devices.set(Number(row["expert"]), Number(row["device"]));
  }
  return {
    variant,
    layer,
    rows,
    totals: new Map([...totals].sort(([a], [b]) => a - b)),
    experts: [...devices]
      .map(([expert, device]) => ({ expert, device }))
      .sort((a, b) => a.device - b.device || a.expert - b.expert),
  };
}

export function deviceBlocks({ experts }: Recorded): Block[] {
  const starts = experts.flatMap(({ device }, place) => (experts[place - 1]?.device === device ? [] : [place]));
  return starts.map((start, i) => ({
    device: experts[start]!.device,
    start,
    end: starts[i + 1] ?? experts.length,
  }));
}

/**
 * At most `most` cells and `mostRows` rows of them; few steps leave room for many rows. Experts are pooled with
 * neighbours of their own device, and across devices only where there are more devices than rows.
 */
export function pooledCells(panel: Recorded, most: number, mostRows: number): Cells {
  const steps = [...panel.totals.keys()];
  const fewColumns = Math.min(steps.length, 8);
  const rows = expertRows(panel, Math.max(1, Math.min(mostRows, Math.floor(most / fewColumns))));
  const columns = Math.max(fewColumns, Math.floor(most / rows.starts.length));
  const stretch = Math.ceil(steps.length / columns);
  const loads = meanLoads(panel, steps, stretch, rows.starts);
  return {
    cells: loads.flatMap((column, i) => {
      const from = i === 0 ? 0 : steps[i * stretch - 1]!;
      const to = steps[Math.min((i + 1) * stretch, steps.length) - 1]!;
      return column.map((load, row) => ({
        from,
        to: to + (i + 1 < loads.length ? overlap * (to - from) : 0),
        place: rows.starts[row]!,
        below: reach(rows.starts, row, panel.experts.length),
        load: Number(load.toPrecision(4)),
      }));
    }),
    pooledSteps: stretch,
    pooledExperts: rows.pooled,
    withinDevices: rows.withinDevices,
  };
}

/** Where a row ends, and a little beyond if another follows. */
function reach(starts: readonly number[], row: number, experts: number): number {
  const below = starts[row + 1];
  return below === undefined ? experts : below + overlap * (below - starts[row]!);
}

/** The place at which each row of cells begins. */
function expertRows(panel: Recorded, most: number) {
  const devices = deviceBlocks(panel);
  const withinDevices = devices.length <= most;
  const blocks = withinDevices ? devices : [{ start: 0, end: panel.experts.length }];
  const rowsOf = (pooled: number) => blocks.reduce((sum, { start, end }) => sum + Math.ceil((end - start) / pooled), 0);
  let pooled = Math.ceil(panel.experts.length / most);
  while (rowsOf(pooled) > most) pooled++;
  const starts = blocks.flatMap(({ start, end }) =>
    Array.from({ length: Math.ceil((end - start) / pooled) }, (_, i) => start + i * pooled),
  );
  return { starts, pooled, withinDevices };
}

/** [columns, rows] of load over the step's mean load, averaged over the experts and steps of a cell. */
function meanLoads(panel: Recorded, steps: readonly number[], stretch: number, starts: readonly number[]): number[][] {
  const columnOf = new Map(steps.map((step, i) => [step, Math.floor(i / stretch)]));
  const rowOf = new Map<number, number>();
  let row = 0;
  panel.experts.forEach(({ expert }, place) => {
    if (place === starts[row + 1]) row++;
    rowOf.set(expert, row);
  });
  const columns = Math.ceil(steps.length / stretch);
  const sums = Array.from({ length: columns }, () => starts.map(() => 0));
  const counts = Array.from({ length: columns }, () => starts.map(() => 0));
  for (const each of panel.rows) {
    const step = Number(each["step"]);
    const column = columnOf.get(step)!;
    const at = rowOf.get(Number(each["expert"]))!;
    sums[column]![at]! += (Number(each["assignments"]) * panel.experts.length) / panel.totals.get(step)!;
    counts[column]![at]!++;
  }
  return sums.map((column, i) => column.map((sum, at) => sum / counts[i]![at]!));
}
