/** Finds and resolves a cost config, on disk or in the package. */
import type { CostJob } from "../config/cost-job.ts";
import { configSource } from "./read-config.ts";

/** @param name a file, or the name of a config that comes with the package @throws ConfigError */
export async function readCostConfig(name: string, sets: readonly string[], forSearch = false): Promise<CostJob> {
  const { resolveCost } = await import("../config/cost-job.ts");
  return resolveCost(configSource(name, sets), { forSearch });
}
