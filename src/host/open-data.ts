/** From the `data` section of a config to a source of tokens: the one place that knows both files and generators. */
import { createHash } from "node:crypto";
import type { RunConfig } from "../config/schema.ts";
import type { TokenSource } from "../data/source.ts";
import { syntheticSource } from "../data/synthetic.ts";
import { textSource } from "../data/text.ts";
import { readDomain } from "./text.ts";

export interface OpenedData extends TokenSource {
  /** sha256 of the text, empty for generated data: a run must not go on with another text than it began with. */
  readonly fingerprint: string;
}

/**
 * Reads only the domains asked for.
 * @param baseDirectory where relative paths of the user's own text start
 * @throws DataError
 */
export function openData(config: RunConfig, baseDirectory: string): OpenedData {
  const { data, seed } = config;
  const { context } = config.model;
  if (data.kind === "synthetic") return { ...syntheticSource(data, { context, seed }), fingerprint: "" };
  const texts = data.domains.map((domain) => readDomain(domain, baseDirectory));
  const hash = createHash("sha256");
  for (const { bytes } of texts) hash.update(bytes);
  const source = textSource(texts, { context, seed, validationFraction: data.validationFraction });
  return { ...source, fingerprint: hash.digest("hex") };
}
