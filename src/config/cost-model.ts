/** The model of a cost config: a preset, changed or not, or sizes of its own; and what contradicts itself in it. */
import type { Architecture } from "../cluster/architecture.ts";
import { architectures } from "../cluster/architectures.ts";
import type { Contradiction } from "./contradiction.ts";
import type { CostConfig } from "./cost-schema.ts";

const neededSizes = ["layers", "hiddenSize", "heads", "vocabulary"] as const;

/** The model of a config; without a preset all that has no natural default must be given. */
export function architectureOf(config: CostConfig["model"]): { model?: Architecture; problems: Contradiction[] } {
  const { preset, title, heads, keyValueHeads, headSize, latent, limit, ...sizes } = config;
  if (preset === undefined) {
    const missing = neededSizes.filter((key) => config[key] === undefined);
    if (missing.length > 0) {
      const message = `without a preset it is missing; give a preset, or all of ${neededSizes.join(", ")}`;
      return { problems: missing.map((key) => ({ keys: [`model.${key}`] as const, message })) };
    }
  }
  const base: Architecture = preset === undefined ? blank(config) : architectures[preset];
  const given = Object.fromEntries(Object.entries<unknown>(sizes).filter(([, value]) => value !== undefined));
  const { limit: _, ...plain } = base;
  const limited = limit === 0 ? undefined : (limit ?? base.limit);
  const changed: Architecture = {
    ...plain,
    ...given,
    title: title ?? base.title,
    ...(limited !== undefined && { limit: limited }),
  };
  const isLatent = latent !== undefined || base.attention.kind === "latent";
  if (isLatent && (keyValueHeads !== undefined || headSize !== undefined)) {
    const message = "latent attention has neither heads of keys and values nor one width of a head; see model.latent";
    return { problems: [{ keys: ["model.keyValueHeads", "model.headSize"], message }] };
  }
  const isDense = changed.experts === 0;
  const model = {
    ...changed,
    attention: attentionOf(base.attention, config),
    denseLayers: isDense ? changed.layers : Math.min(changed.denseLayers, changed.layers),
  };
  return { model, problems: modelProblems(model) };
}

function attentionOf(
  base: Architecture["attention"],
  { heads = base.heads, keyValueHeads, headSize, latent }: CostConfig["model"],
): Architecture["attention"] {
  if (latent !== undefined) return { kind: "latent", heads, ...latent };
  if (base.kind === "latent") return { ...base, heads };
  return {
    ...base,
    heads,
    keyValueHeads: keyValueHeads ?? Math.min(base.keyValueHeads, heads),
    headSize: headSize ?? base.headSize,
  };
}

function modelProblems(model: Architecture): Contradiction[] {
  const problems: Contradiction[] = [];
  const { experts, topK, expertHiddenSize, denseLayers, denseHiddenSize } = model;
  if (experts > 0) {
    if (topK < 1 || topK > experts)
      problems.push({ keys: ["model.topK"], message: `expected from 1 to the ${experts} experts, got ${topK}` });
    if (expertHiddenSize < 1)
      problems.push({ keys: ["model.expertHiddenSize"], message: `${experts} experts need a hidden width` });
    problems.push(...groupProblems(model));
  }
  if (denseLayers > 0 && denseHiddenSize < 1) {
    const message = `${denseLayers} dense layers need a hidden width; or give them experts with model.denseLayers 0`;
    problems.push({ keys: ["model.denseHiddenSize"], message });
  }
  const { attention } = model;
  if (attention.kind === "grouped-query" && attention.heads % attention.keyValueHeads !== 0) {
    const message = `${attention.heads} heads do not divide evenly by ${attention.keyValueHeads} heads of keys and values`;
    problems.push({ keys: ["model.keyValueHeads"], message });
  }
  return problems;
}

function groupProblems({ experts, topK, groups, limit }: Architecture): Contradiction[] {
  const keys = ["model.groups", "model.experts", "model.topK"] as const;
  if (experts % groups !== 0) return [{ keys, message: `${groups} groups do not divide ${experts} experts evenly` }];
  if (limit === undefined) {
    return groups === 1 || topK % groups === 0
      ? []
      : [{ keys, message: `${groups} groups do not divide topK ${topK} evenly; give model.limit if groups compete` }];
  }
  const room = (experts / groups) * limit;
  if (limit <= groups && topK <= room && topK >= limit) return [];
  const message = `limit ${limit} of ${groups} groups: expected at most ${groups}, and topK ${topK} experts between one a group and the ${room} in them`;
  return [{ keys: ["model.limit", "model.groups", "model.topK"], message }];
}

const blank = ({ layers, hiddenSize, heads, vocabulary, experts }: CostConfig["model"]): Architecture => ({
  title: "a model of the config",
  source: "the config",
  layers: layers!,
  denseLayers: experts === undefined || experts === 0 ? layers! : 0,
  hiddenSize: hiddenSize!,
  attention: {
    kind: "grouped-query",
    heads: heads!,
    keyValueHeads: heads!,
    headSize: Math.max(1, Math.floor(hiddenSize! / heads!)),
  },
  denseHiddenSize: 0,
  experts: 0,
  topK: 0,
  groups: 1,
  expertHiddenSize: 0,
  sharedHiddenSize: 0,
  vocabulary: vocabulary!,
  tiedEmbedding: false,
  predictionLayers: 0,
});
