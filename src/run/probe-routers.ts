/** Looks at a trained model's routers on the text that its `probe` section names. */
import type { RunConfig } from "../config/schema.ts";
import type { TokenSource } from "../data/source.ts";
import type { Engine } from "../engine/engine.ts";
import { type Probe, probe } from "../experiment/probe.ts";
import { openData } from "../host/open-data.ts";

/** @returns undefined if the config has no such section @throws DataError */
export function probeRouters(config: RunConfig, engine: Engine, trainedOn: TokenSource): Probe | undefined {
  if (config.probe === undefined) return undefined;
  return probe(config, engine, probedData(config) ?? trainedOn);
}

/** @throws DataError */
export function probedData({ probe: wanted, ...config }: RunConfig): TokenSource | undefined {
  if (wanted?.domains === undefined) return undefined;
  const validationFraction = config.data.kind === "text" ? config.data.validationFraction : 0.1;
  return openData({ ...config, data: { kind: "text", domains: wanted.domains, validationFraction } }, process.cwd());
}
