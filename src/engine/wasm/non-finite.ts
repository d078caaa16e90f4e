/** Finds where a training step first met a number that is not finite: activations forwards, then gradients backwards. */
import type { Address } from "./kernels.ts";
import type { ModelPlan } from "./plan.ts";

interface Place {
  readonly name: string;
  readonly address: Address;
  readonly count: number;
}

/** @returns the name of the place, e.g. "layer 1, feed-forward" or "gradient of layers.0.router", or undefined */
export function firstNonFinite(buffer: ArrayBufferLike, plan: ModelPlan): string | undefined {
  for (const { name, address, count } of [...activations(plan), ...gradients(plan)]) {
    if (!new Float32Array(buffer, address, count).every(Number.isFinite)) return name;
  }
  return undefined;
}

function activations({ sizes, embedding, layers, head }: ModelPlan): Place[] {
  const { tokens, hiddenSize, experts, vocabulary } = sizes;
  const stream = tokens * hiddenSize;
  return [
    { name: "embedding", address: embedding.output, count: stream },
    ...layers.flatMap(({ attention, feedForward }, layer) => [
      { name: `layer ${layer}, attention`, address: attention.output, count: stream },
      ...(feedForward.routed
        ? [{ name: `layer ${layer}, router`, address: feedForward.routed.router.logits, count: tokens * experts }]
        : []),
      { name: `layer ${layer}, feed-forward`, address: feedForward.output, count: stream },
    ]),
    { name: "head", address: head.logits, count: tokens * vocabulary },
  ];
}

function gradients({ parameters }: ModelPlan): Place[] {
  const { layout, gradient } = parameters;
  const places = layout.map(({ name, offset, size }) => ({
    name: `gradient of ${name}`,
    address: gradient + 4 * offset,
    count: size,
  }));
  return places.reverse();
}
