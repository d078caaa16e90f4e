/**
 * The one schema: every knob once, with its type, default, bounds and help.
 *
 * Types, validation, `moge schema`, `moge config` and the help are read off it. Table entries bring their own
 * knobs. Rules between knobs live in rules.ts, because they need several values at once.
 * Written with zod/mini so that the page can carry it.
 */
import * as z from "zod/mini";
import { textDomains } from "../data/text-domains.ts";
import { cluster, target } from "./cluster-sections.ts";
import {
  choice,
  count,
  countOrZero,
  described,
  fileName,
  flag,
  fraction,
  keys,
  notNegative,
  positive,
  section,
} from "./fields.ts";
import { balance, router } from "./routing-sections.ts";

const model = section(
  {
    layers: count(2, "transformer layers, L", 1000),
    hiddenSize: count(64, "width of the residual stream, H"),
    heads: count(4, "attention heads"),
    context: count(64, "tokens a sequence"),
    feedForward: choice(
      {
        moe: "routed experts",
        dense: "one SwiGLU feed-forward of the same active width, (topK + sharedExperts) · expertHiddenSize",
      },
      "moe",
      "what stands behind attention in each layer",
    ),
    experts: count(64, "routed experts a layer, N", 65_535),
    topK: count(8, "experts chosen for a token, K"),
    groups: count(8, "expert groups, M; used by grouped routers"),
    expertHiddenSize: count(32, "hidden width of one SwiGLU expert, F"),
    sharedExperts: countOrZero(1, "experts that every token passes through"),
    tiedHead: flag(false, "use the token embedding as output head"),
  },
  "the small model that is trained",
);

const training = section(
  {
    steps: count(300, "optimizer steps"),
    sequences: count(16, "sequences of one rank's micro-batch"),
    microBatches: count(1, "micro-batches whose gradients are added up for a step"),
    ranks: count(1, "virtual data-parallel ranks; balancing losses see each rank's tokens apart"),
    learningRate: positive(6e-3, "peak learning rate"),
    finalLearningRateFraction: described(
      z._default(z.number().check(z.minimum(0), z.maximum(1)), 0.1),
      "share of the peak that the cosine decay ends at",
    ),
    warmupSteps: countOrZero(20, "steps of linear warm-up"),
    weightDecay: notNegative(0.1, "AdamW weight decay, on matrices only"),
    beta1: fraction(0.9, "AdamW β1"),
    beta2: fraction(0.95, "AdamW β2"),
    clipNorm: notNegative(1, "largest norm of the whole gradient; 0 leaves it alone"),
  },
  "how the model is trained",
);

const firstBytes = described(
  z.optional(z.int().check(z.minimum(1), z.maximum(1e9))),
  "only so many bytes of it, from its beginning, down to a whole character; none: all",
);

const domainList = z
  .array(
    z.union([
      z.enum(keys(textDomains)),
      z.strictObject({
        name: described(z.enum(keys(textDomains)), "a built-in domain, when only its beginning is wanted"),
        bytes: firstBytes,
      }),
      z.strictObject({
        name: described(z.string().check(z.minLength(1)), "name of the domain in results"),
        path: described(
          z.string().check(z.minLength(1)),
          "a text file or a folder of them; a relative path starts where moge is run",
        ),
        bytes: firstBytes,
        sha256: described(
          z.optional(z.string().check(z.regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits in quotes"))),
          "of the bytes that are trained on; with it, another text is refused",
        ),
      }),
    ]),
  )
  .check(z.minLength(1));

const textData = z.strictObject({
  kind: z.literal("text"),
  domains: described(domainList, "built-in domains by name, or your own text by name and path"),
  validationFraction: described(
    z._default(z.number().check(z.gt(0), z.lt(1)), 0.1),
    "share of each domain, its last bytes, kept for validation",
  ),
});

const syntheticData = z.strictObject({
  kind: z.literal("synthetic"),
  topics: count(8, "topics, each with its own alphabet and its own successor of every symbol"),
  skew: notNegative(0, "Zipf exponent of the topics' shares; 0 is uniform"),
  noise: fraction(0.1, "probability that a symbol is drawn at random from its topic's alphabet"),
});

const engine = section(
  {
    kind: choice(
      { wasm: "fast and deterministic", tfjs: "the reference in TensorFlow.js ops" },
      "wasm",
      "which implementation of the model",
    ),
    kernels: choice(
      { plain: "the same bits everywhere", relaxed: "fused multiply-add where the machine has it" },
      "plain",
      "arithmetic of the wasm engine",
    ),
    threads: countOrZero(
      0,
      "threads of the wasm engine, 0: as many as the machine has cores, 8 at most; the bits do not depend on it",
      64,
    ),
    backend: choice(
      {
        auto: "the first of the following that can run an op",
        tensorflow: "native, if @tensorflow/tfjs-node is installed",
        wasm: "WebAssembly",
        cpu: "plain JavaScript",
      },
      "auto",
      "of the tfjs engine",
    ),
  },
  "what computes the training step",
);

const record = section(
  {
    every: count(10, "steps between rows of expert-load.csv"),
    validationEvery: count(25, "steps between validations; the last step is always one"),
    validationSequences: count(16, "validation sequences a domain", 100_000),
    checkpointEvery: count(50, "steps between checkpoints"),
  },
  "what is written down, and how often",
);

const probe = described(
  z.optional(
    z.strictObject({
      domains: described(z.optional(domainList), "text to look at; none: what is trained on"),
      batches: count(4, "held-out batches of each domain, as large as those of training", 1000),
    }),
  ),
  "what the trained routers do with each domain, looked at after the last step without learning; none: not looked at",
);

const runShape = {
  name: fileName("name of the run; its results go to results/<name>"),
  description: described(z.optional(z.string()), "one line for reports"),
  seed: described(z._default(z.int().check(z.minimum(0)), 1), "every random stream comes from it"),
  model,
  router,
  balance,
  training,
  data: described(z.discriminatedUnion("kind", [textData, syntheticData]), "where tokens come from"),
  cluster,
  target,
  engine,
  record,
  probe,
};

/** One variant, every default filled in. */
export const runSchema = z.strictObject(runShape);

/** A config file: the shared settings and the variants that change some of them. */
export const fileSchema = z.strictObject({
  $schema: z.optional(z.string()),
  extends: described(z.optional(z.string()), "another config, by path from this file's folder; this file overrides it"),
  ...runShape,
  variants: described(
    z.optional(
      z
        .array(
          z.strictObject({
            name: fileName("name in results"),
            set: described(
              z._default(z.record(z.string(), z.unknown()), {}),
              "what it changes: nested keys, or dotted ones",
            ),
          }),
        )
        .check(z.minLength(1)),
    ),
    "configurations compared; each shares everything else",
  ),
});

export type RunConfig = z.infer<typeof runSchema>;
export type FileConfig = z.infer<typeof fileSchema>;
export type TargetConfig = NonNullable<RunConfig["target"]>;
