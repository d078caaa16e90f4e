/** The bytes that a step moves, for a terminal and as CSV. SIMULATED. */
import type { Job } from "../cluster/job.ts";
import { layoutSpans } from "../cluster/layout.ts";
import { expertGroup, levelOfPair, type Purpose, purposes, type Traffic } from "../cluster/traffic.ts";
import { csvText } from "./csv-text.ts";

const gigabytes = (bytes: number) => (bytes === 0 ? "-" : (bytes / 1e9).toPrecision(3));

/** A row for each level of links, a column for each purpose. @returns rows of cells, the first the headings */
export function linkTable({ links }: Traffic, { topology }: Job): string[][] {
  const used = (Object.keys(purposes) as Purpose[]).filter((name) => links.some(({ purpose }) => purpose === name));
  const at = (name: Purpose, l: number) => links.find(({ purpose, level }) => purpose === name && level === l);
  const hottest = used.includes("experts") ? ["hottest"] : [];
  const levels = topology.levels.flatMap(({ title }, level) => {
    if (!links.some((link) => link.level === level)) return [];
    const most = hottest.map(() => gigabytes(at("experts", level)?.most ?? 0));
    return [[title, ...used.map((name) => gigabytes(at(name, level)?.mean ?? 0)), ...most, ""]];
  });
  return [["links", ...used, ...hottest, "GB"], ...levels];
}

/** Every pair of the expert-parallel group that holds the first device of each stage. */
export function pairCsv({ pairs }: Traffic, job: Job): string {
  const { expert } = layoutSpans(job.layout, job.topology);
  const rows = pairs.flatMap((matrix, stage) => {
    const devices = expertGroup(job, stage);
    const side = devices.length;
    return Array.from(matrix, (bytes, i) => {
      const [from, to] = [Math.floor(i / side), i % side];
      if (from === to) return [];
      return [[stage, devices[from]!, devices[to]!, job.topology.levels[levelOfPair(expert, from, to)]!.title, bytes]];
    }).flat();
  });
  return csvText([["stage", "from_device", "to_device", "links", "simulated_bytes"], ...rows]);
}
