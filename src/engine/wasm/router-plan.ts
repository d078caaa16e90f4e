/** What the router of a MoE layer keeps in the wasm memory, and where. */
import { neededStatistics } from "../../balance/balance.ts";
import { settingsOfLayer } from "../../balance/rules.ts";
import { statisticNamed } from "../../balance/statistics.ts";
import { balanceShape, noiseOf } from "../../config/router-settings.ts";
import type { RunConfig } from "../../config/schema.ts";
import { routerNamed } from "../../routing/routers.ts";
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";
import type { Linear } from "./linear.ts";
import { type ParameterPlan, type Weights, weightsNamed } from "./parameters.ts";
import { planRouterKernel, type RouterKernelPlan } from "./router-kernel.ts";
import type { Sizes } from "./sizes.ts";

export interface RouterPlan {
  readonly linear: Linear;
  /** [T, N] before any noise */
  readonly logits: Address;
  readonly noise: NoisePlan | undefined;
  /** [T, N] */
  readonly scores: Address;
  /** [places, T, slots] int32: after dropping */
  readonly experts: Address;
  /** [places, T, slots] int32: before; the same where nothing drops */
  readonly chosen: Address;
  /** [places, T, slots] int32; of routers that refuse experts */
  readonly refused: Address | undefined;
  /** [places, T, slots] */
  readonly weights: Address;
  /** [S, width] float64 each */
  readonly sums: Readonly<Record<string, Address>>;
  /** [S, N] float64 */
  readonly load: Address;
  /** [N] float64 */
  readonly bias: Address;
  /** [balancing rules] float64 */
  readonly state: Address;
  /** The learned scales of the experts, and [S, N] float64 gradients by them. */
  readonly expertScale: (Weights & { readonly ofSequences: Address }) | undefined;
  /** Absent: routed by the pass that all engines share. */
  readonly kernel: RouterKernelPlan | undefined;
}

interface NoisePlan {
  /** Of learned noise: the second projection, and [T, N] what it gives. */
  readonly learned: { readonly linear: Linear; readonly raw: Address } | undefined;
  /** [T, N] each */
  readonly noisy: Address;
  readonly draws: Address;
}

/** Gradients on the way back; the layers use them one after another. */
export interface RouterGradients {
  /** [T, slots] */
  readonly dWeights: Address;
  /** [T, N] */
  readonly dLogits: Address;
  /** [T, N] by the second projection of learned noise */
  readonly dRaw: Address | undefined;
}

export function planRouter(
  arena: Arena,
  sizes: Sizes,
  parameters: ParameterPlan,
  config: RunConfig,
  layer: number,
): RouterPlan {
  const { tokens, sequences, experts, slots, hiddenSize, microBatches } = sizes;
  const ofPlaces = (microBatches + 1) * tokens * slots;
  const name = `layers.${layer}.router`;
  const linear = (parameter: string) => ({
    ...weightsNamed(parameters, parameter),
    inputs: hiddenSize,
    outputs: experts,
  });
  const matrix = () => arena.words(tokens * experts);
  const noise = noiseOf(config);
  const assigned = arena.words(ofPlaces);
  const shape = balanceShape(config);
  return {
    linear: linear(name),
    logits: matrix(),
    noise: noise && {
      learned: noise.kind === "learned" ? { linear: linear(`${name}.noise`), raw: matrix() } : undefined,
      noisy: matrix(),
      draws: matrix(),
    },
    scores: matrix(),
    experts: assigned,
    chosen: config.router.capacity === undefined ? assigned : arena.words(ofPlaces),
    refused: routerNamed(config.router.selection).refuses && arena.words(ofPlaces),
    weights: arena.words(ofPlaces),
    sums: Object.fromEntries(
      neededStatistics(settingsOfLayer(config.balance, layer)).map((statistic) => [
        statistic,
        arena.doubles(sequences * statisticNamed(statistic).width(shape)),
      ]),
    ),
    load: arena.doubles(sequences * experts),
    bias: arena.doubles(experts),
    state: arena.doubles(config.balance.length),
    expertScale:
      config.router.expertScale === "learned"
        ? { ...weightsNamed(parameters, `${name}.scale`), ofSequences: arena.doubles(sequences * experts) }
        : undefined,
    kernel: planRouterKernel(arena, config, layer),
  };
}

export function planRouterGradients(
  arena: Arena,
  { tokens, experts, slots }: Sizes,
  config: RunConfig,
): RouterGradients {
  const dWeights = arena.words(tokens * slots);
  const dLogits = arena.words(tokens * experts);
  const dRaw = noiseOf(config)?.kind === "learned" ? arena.words(tokens * experts) : undefined;
  return { dWeights, dLogits, dRaw };
}
