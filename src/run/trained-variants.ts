/** Trains the variants of a packaged config one after the other and keeps their routing, for experiments. */
import type { RunConfig } from "../config/schema.ts";
import { type TrainedRouting, trainRouting } from "../experiment/trained-routing.ts";
import { openData } from "../host/open-data.ts";
import { openEngine } from "../host/open-engine.ts";
import { readConfig } from "../host/read-config.ts";

export interface TrainedVariant extends TrainedRouting {
  readonly name: string;
  readonly config: RunConfig;
}

export async function trainVariants(config: string, sets: readonly string[]): Promise<TrainedVariant[]> {
  const { variants } = await readConfig(config, sets);
  const trained: TrainedVariant[] = [];
  for (const variant of variants) {
    const engine = await openEngine(variant.config);
    try {
      const routing = trainRouting(`trained ${variant.name}`, variant.config, engine, openData(variant.config, "."));
      trained.push({ name: variant.name, config: variant.config, ...routing });
    } finally {
      engine.close();
    }
  }
  return trained;
}
