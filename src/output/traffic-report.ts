/** The bytes that a step moves, for a terminal and as CSV. SIMULATED. */
import { commonLevel } from "../cluster/group-span.ts";
import type { Job } from "../cluster/job.ts";
import { type Purpose, purposes, type Traffic } from "../cluster/traffic.ts";
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

/** A row for each pair of devices and purpose. */
export function pairCsv(traffic: Traffic, { topology }: Job): string {
  const rows = Array.from(traffic.pairs(), ({ purpose, stage, from, to, bytes }) => [
    stage,
    purpose,
    from,
    to,
    topology.levels[commonLevel(from, to, topology)]!.title,
    bytes,
  ]);
  return csvText([["stage", "purpose", "from_device", "to_device", "links", "simulated_bytes"], ...rows]);
}
