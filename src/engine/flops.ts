/** How much arithmetic a model takes, counted from its layout: one multiply-add is two operations. */
import { type ModelSections, parameterLayout, VOCABULARY } from "./parameters.ts";

/**
 * Floating-point operations of the forward pass for one token; a training step takes three times that.
 * Matrix products and the attention core over the whole context are counted, element-wise work is not.
 */
export function forwardFlopsPerToken(sections: ModelSections): number {
  const { model } = sections;
  let multiplyAdds = 2 * model.layers * model.context * model.hiddenSize;
  for (const { name, shape, size } of parameterLayout(sections)) {
    if (shape.length === 1 || name === "embedding" || name === "position") continue;
    multiplyAdds += name.includes(".experts.") ? (size / model.experts) * model.topK : size;
  }
  if (model.tiedHead) multiplyAdds += model.hiddenSize * VOCABULARY;
  return 2 * multiplyAdds;
}
