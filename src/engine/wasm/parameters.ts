/** Where the parameters, their gradient and AdamW's moments lie: four flat arrays in the order of `parameterLayout`. */
import { type ModelSections, type Parameter, parameterCount, parameterLayout, parameterNamed } from "../parameters.ts";
import type { Arena } from "./arena.ts";
import type { Address } from "./kernels.ts";

export interface ParameterPlan {
  readonly layout: readonly Parameter[];
  /** How many numbers. */
  readonly count: number;
  readonly values: Address;
  readonly gradient: Address;
  readonly firstMoment: Address;
  readonly secondMoment: Address;
}

/** One parameter: where its values and their gradient are. */
export interface Weights {
  readonly values: Address;
  readonly gradient: Address;
}

export function planParameters(arena: Arena, sections: ModelSections): ParameterPlan {
  const layout = parameterLayout(sections);
  const count = parameterCount(layout);
  return {
    layout,
    count,
    values: arena.words(count),
    gradient: arena.words(count),
    firstMoment: arena.words(count),
    secondMoment: arena.words(count),
  };
}

export function weightsNamed(plan: ParameterPlan, name: string): Weights {
  const { offset } = parameterNamed(plan.layout, name);
  return { values: plan.values + 4 * offset, gradient: plan.gradient + 4 * offset };
}
