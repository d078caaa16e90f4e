/**
 * What makes a run the run that it is: its resolved config, in one spelling. Its hash is the run's id, so a sweep is a
 * set of ids, and what is done of it is read off the ids that are there.
 */
import type { RunConfig } from "../config/schema.ts";

/** Left out is what cannot change a figure: names, threads (the bits do not depend on them), places of checkpoints. */
export function identityText(config: RunConfig): string {
  const { name: _name, description: _description, engine, record, ...rest } = config;
  const { threads: _threads, ...computing } = engine;
  const { checkpointEvery: _places, ...recorded } = record;
  return JSON.stringify(sorted({ ...rest, engine: computing, record: recorded }));
}

/** The same with the keys of every mapping in order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, each]) => [key, sorted(each)]));
}
