/**
 * The shape of a transformer, and what follows from it alone: parameters and FLOP, exact.
 *
 * Every layer has attention and a feed-forward network and two RMSNorms; the first `denseLayers` have one dense network
 * instead of experts.
 */

export interface GroupedQueryAttention {
  readonly kind: "grouped-query";
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headSize: number;
  readonly queryKeyValueBias?: boolean;
  readonly outputBias?: boolean;
  /** RMSNorm on queries and keys: of each head, or of all of them together. */
  readonly norm?: "head" | "full";
}

/** Multi-head latent attention, DeepSeek-V2, arXiv:2405.04434. */
export interface LatentAttention {
  readonly kind: "latent";
  readonly heads: number;
  /** 0: queries are not compressed. */
  readonly queryRank: number;
  readonly keyValueRank: number;
  /** Part of a head without positions. */
  readonly plainSize: number;
  /** Rotary part of a head. */
  readonly rotarySize: number;
  readonly valueSize: number;
}

export interface Architecture {
  readonly title: string;
  /** Where the sizes come from. */
  readonly source: string;
  /** Without multi-token prediction. */
  readonly layers: number;
  /** First layers without experts; all of them in a dense model. */
  readonly denseLayers: number;
  /** H */
  readonly hiddenSize: number;
  readonly attention: GroupedQueryAttention | LatentAttention;
  /** A gate beside the projection up, as in SwiGLU, in every feed-forward network; absent: there is one. */
  readonly gated?: boolean;
  /** Hidden width of the feed-forward network of dense layers. */
  readonly denseHiddenSize: number;
  /** N */
  readonly experts: number;
  /** K */
  readonly topK: number;
  /** M of a grouped router; 1: ordinary top-k. */
  readonly groups: number;
  /** Of a group-limited router: how many of the groups a token may use. Absent: it takes K/M experts of each. */
  readonly limit?: number;
  /** F */
  readonly expertHiddenSize: number;
  /** All shared experts together. */
  readonly sharedHiddenSize: number;
  /** Parameters of the router for each expert beyond the H of its row: a bias or scale. */
  readonly routerExtra?: number;
  readonly vocabulary: number;
  readonly tiedEmbedding: boolean;
  /** Extra modules for multi-token prediction, each one more layer and its projection. */
  readonly predictionLayers: number;
}

/** Layers with experts, multi-token prediction not counted. */
export const moeLayersOf = ({ layers, denseLayers }: Architecture): number => layers - denseLayers;

export interface ParameterCount {
  /** Of one layer's attention, with its biases and inner norms. */
  readonly attention: number;
  /** Of one dense feed-forward network. */
  readonly denseNetwork: number;
  readonly oneExpert: number;
  readonly sharedExperts: number;
  readonly router: number;
  /** Token embedding, and output head where it is another matrix. */
  readonly embedding: number;
  /** Without multi-token prediction, as models are quoted. */
  readonly total: number;
  /** Used for one token; embedding and head included. */
  readonly active: number;
  /** Of the modules for multi-token prediction; the embedding and head they share are not counted again. */
  readonly prediction: number;
}

/** Exact parameter counts. */
export function countParameters(model: Architecture): ParameterCount {
  const { hiddenSize, layers, denseLayers, experts, topK, predictionLayers } = model;
  const attention = attentionParameters(model);
  const network = (width: number) => matricesOf(model) * hiddenSize * width;
  const denseNetwork = network(model.denseHiddenSize);
  const oneExpert = network(model.expertHiddenSize);
  const sharedExperts = network(model.sharedHiddenSize);
  const router = experts * (hiddenSize + (model.routerExtra ?? 0));
  const embedding = model.vocabulary * hiddenSize * (model.tiedEmbedding ? 1 : 2);
  const norms = 2 * hiddenSize;
  const every = layers * (attention + norms) + hiddenSize + embedding + denseLayers * denseNetwork;
  const moe = (routed: number) => moeLayersOf(model) * (routed * oneExpert + sharedExperts + router);
  const last = experts > 0 ? experts * oneExpert + sharedExperts + router : denseNetwork;
  const projection = 2 * hiddenSize * hiddenSize + 3 * hiddenSize; // of the two inputs, and the norms
  return {
    attention,
    denseNetwork,
    oneExpert,
    sharedExperts,
    router,
    embedding,
    total: every + moe(experts),
    active: every + moe(topK),
    prediction: predictionLayers * (projection + attention + norms + last),
  };
}

/** Of a feed-forward network. */
const matricesOf = ({ gated = true }: Architecture): number => (gated ? 3 : 2);

function attentionParameters({ hiddenSize, attention }: Architecture): number {
  if (attention.kind === "latent") {
    const { heads, queryRank, keyValueRank, plainSize, rotarySize, valueSize } = attention;
    const query = heads * (plainSize + rotarySize);
    const queries = queryRank === 0 ? hiddenSize * query : hiddenSize * queryRank + queryRank + queryRank * query;
    const keysAndValues =
      hiddenSize * (keyValueRank + rotarySize) + keyValueRank + keyValueRank * heads * (plainSize + valueSize);
    return queries + keysAndValues + heads * valueSize * hiddenSize;
  }
  const { heads, keyValueHeads, headSize } = attention;
  const [query, keyValue] = [heads * headSize, keyValueHeads * headSize];
  const biases = (attention.queryKeyValueBias ? query + 2 * keyValue : 0) + (attention.outputBias ? hiddenSize : 0);
  const norm = attention.norm === "head" ? 2 * headSize : attention.norm === "full" ? query + keyValue : 0;
  return hiddenSize * (query + 2 * keyValue) + query * hiddenSize + biases + norm;
}

/** How attention's FLOP are counted: what a causal mask leaves, or the whole square. */
export type AttentionCount = "causal" | "full";

/**
 * FLOP of forward and backward for one token, as NVIDIA/Megatron-LM counts them (training.py, d98e8a64): two for each
 * multiply-add, three passes; recomputation not counted. `causal` counts half of the square of attention.
 * @param sequence tokens
 */
export function trainingFlopsPerToken(model: Architecture, sequence: number, count: AttentionCount = "causal"): number {
  const { hiddenSize: h, topK, predictionLayers, layers, denseLayers, experts } = model;
  const perWidth = 6 * matricesOf(model) * h;
  const dense = perWidth * model.denseHiddenSize;
  const moe = perWidth * (model.expertHiddenSize * topK + model.sharedHiddenSize);
  const attention = attentionFlops(model, sequence, count);
  const last = experts > 0 ? moe : dense;
  const logits = 6 * h * model.vocabulary * (1 + predictionLayers);
  const prediction = predictionLayers * (6 * (3 * h + 2 * h * h) + attention + last);
  return layers * attention + denseLayers * dense + (layers - denseLayers) * moe + logits + prediction;
}

function attentionFlops({ hiddenSize: h, attention }: Architecture, sequence: number, count: AttentionCount): number {
  const square = count === "causal" ? 0.5 : 1;
  if (attention.kind === "latent") {
    const { heads, queryRank, keyValueRank, plainSize, rotarySize, valueSize } = attention;
    const query = heads * (plainSize + rotarySize);
    const queries = queryRank === 0 ? h * query : queryRank * (h + query + 1);
    const keysAndValues = keyValueRank * (h + heads * (plainSize + valueSize) + 1) + h * rotarySize;
    const core = 12 * sequence * square * heads * ((plainSize + rotarySize + valueSize) / 2);
    return 6 * (queries + keysAndValues + heads * valueSize * h) + core;
  }
  const query = attention.heads * attention.headSize;
  const keyValue = attention.keyValueHeads * attention.headSize;
  return 6 * h * (query + 2 * keyValue) + 6 * query * h + 12 * square * query * sequence;
}
