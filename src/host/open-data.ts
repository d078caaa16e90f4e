/** From the `data` section of a config to a source of tokens: the one place that knows both files and generators. */
import type { RunConfig } from "../config/schema.ts";
import type { TokenSource } from "../data/source.ts";
import { syntheticSource } from "../data/synthetic.ts";
import { textSource } from "../data/text.ts";
import { readDomain } from "./text.ts";

/**
 * Reads only the domains asked for.
 * @param baseDirectory where relative paths of the user's own text start
 * @throws DataError
 */
export function openData(config: RunConfig, baseDirectory: string): TokenSource {
  const { data, seed } = config;
  const { context } = config.model;
  if (data.kind === "synthetic") return syntheticSource(data, { context, seed });
  const texts = data.domains.map((domain) => readDomain(domain, baseDirectory));
  return textSource(texts, { context, seed, validationFraction: data.validationFraction });
}
