/** The data that a figure shows, whatever its shape: the values written into its specification. */
import type { Row } from "../../experiment/experiment.ts";

/** Each row once; `layer`s of a figure that share their data are not repeated. */
export function figureRows(specification: unknown): Row[] {
  const seen = new Set<string>();
  const rows: Row[] = [];
  for (const row of valuesIn(specification)) {
    const key = JSON.stringify(row);
    if (!seen.has(key)) rows.push(row);
    seen.add(key);
  }
  return rows;
}

function valuesIn(part: unknown): Row[] {
  if (typeof part !== "object" || part === null) return [];
  if (Array.isArray(part)) return part.flatMap(valuesIn);
  const { data, ...rest } = part as { data?: { values?: Record<string, unknown>[] } };
  return [...(data?.values ?? []).map(flat), ...Object.values(rest).flatMap(valuesIn)];
}

/** What is neither number nor text has no place in a cell. */
const flat = (row: Record<string, unknown>): Row =>
  Object.fromEntries(
    Object.entries(row).map(([key, value]) => [
      key,
      typeof value === "number" || typeof value === "string" ? value : undefined,
    ]),
  );
