/** Where the time of training steps went, as a table for a terminal. */
import type { TimedPart } from "../engine/engine.ts";
import { aligned } from "./plain-text.ts";

/** @param steps that the parts were timed over @returns lines without a last line feed */
export function profileTable(variant: string, parts: readonly TimedPart[], steps: number): string {
  const total = parts.reduce((sum, { forward, backward }) => sum + forward + backward, 0);
  const perStep = (time: number) => (time === 0 ? "" : (time / steps).toFixed(2));
  const row = (layer: string, part: string, forward: number, backward: number) => [
    layer,
    part,
    perStep(forward),
    perStep(backward),
    `${((100 * (forward + backward)) / total).toFixed(1)} %`,
  ];
  const sum = (direction: "forward" | "backward") => parts.reduce((all, part) => all + part[direction], 0);
  const inOrder = [...parts].sort((a, b) => (a.layer ?? Number.MAX_VALUE) - (b.layer ?? Number.MAX_VALUE));
  const rows = [
    ["layer", "part", "forward", "backward", "share"],
    ...inOrder.map(({ layer, part, forward, backward }) => row(layer?.toString() ?? "", part, forward, backward)),
    row("", "all", sum("forward"), sum("backward")),
  ];
  const lines = aligned(rows, (column) => column < 2);
  return [`${variant}: milliseconds of a training step on its first thread`, ...lines].join("\n");
}
