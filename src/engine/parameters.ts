/**
 * The parameters of the model: names, shapes and starting values, the same for every engine.
 *
 * All parameters lie in one flat array in the order of `parameterLayout`, so that a checkpoint, an optimizer and
 * a comparison between engines are each one loop.
 */

import { noiseOf } from "../config/router-settings.ts";
import type { RunConfig } from "../config/schema.ts";
import { randomStream } from "../core/random.ts";

/** Bytes. */
export const VOCABULARY = 256;

export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** First place in the flat array. */
  readonly offset: number;
  readonly size: number;
  /** Standard deviation of the normal starting values; undefined: all ones (the gain of a norm). */
  readonly deviation: number | undefined;
  /** Weight decay pulls at matrices, not at gains. */
  readonly decays: boolean;
}

type ModelConfig = RunConfig["model"];

/** The sections that decide which parameters there are. */
export type ModelSections = Pick<RunConfig, "model" | "router">;

/** Width of the dense twin: as many hidden units as a token meets in the MoE layer. */
export const denseHiddenSize = ({ topK, sharedExperts, expertHiddenSize }: ModelConfig): number =>
  (topK + sharedExperts) * expertHiddenSize;

/**
 * The layout. Matrices are [in, out]; a SwiGLU's gate and up projections lie side by side, [H, gate F | up F].
 * The shared experts are one SwiGLU of their joint width, which is the same sum.
 */
export function parameterLayout({ model, router }: ModelSections): Parameter[] {
  const { layers, hiddenSize: H, context, experts: N, expertHiddenSize: F, sharedExperts } = model;
  const parameters: Parameter[] = [];
  let offset = 0;
  const add = (name: string, shape: number[], deviation?: number) => {
    const size = shape.reduce((a, b) => a * b, 1);
    parameters.push({ name, shape, offset, size, deviation, decays: shape.length > 1 });
    offset += size;
  };
  const inner = 1 / Math.sqrt(H);
  // What a layer adds to the residual stream starts small, by the number of additions (GPT-2).
  const residual = (fanIn: number) => 1 / Math.sqrt(fanIn * 2 * layers);
  const swiglu = (name: string, hidden: number) => {
    add(`${name}.up`, [H, 2 * hidden], inner);
    add(`${name}.down`, [hidden, H], residual(hidden));
  };
  add("embedding", [VOCABULARY, H], 0.02);
  add("position", [context, H], 0.02);
  for (let l = 0; l < layers; l++) {
    add(`layers.${l}.attention.norm`, [H]);
    add(`layers.${l}.attention.qkv`, [H, 3 * H], inner);
    add(`layers.${l}.attention.output`, [H, H], residual(H));
    add(`layers.${l}.feedForward.norm`, [H]);
    if (model.feedForward === "dense") {
      swiglu(`layers.${l}.dense`, denseHiddenSize(model));
      continue;
    }
    add(`layers.${l}.router`, [H, N], inner);
    // Both start so that they change nothing: noise of one size for all tokens (Shazeer), weights as they are.
    if (noiseOf({ router })?.kind === "learned") add(`layers.${l}.router.noise`, [H, N], 0);
    if (router.expertScale === "learned") add(`layers.${l}.router.scale`, [N]);
    add(`layers.${l}.experts.up`, [N, H, 2 * F], inner);
    add(`layers.${l}.experts.down`, [N, F, H], residual(F));
    if (sharedExperts > 0) swiglu(`layers.${l}.shared`, sharedExperts * F);
  }
  add("final.norm", [H]);
  if (!model.tiedHead) add("head", [H, VOCABULARY], 0.02);
  return parameters;
}

/** How many numbers the model has. */
export function parameterCount(layout: readonly Parameter[]): number {
  return layout.reduce((sum, { size }) => sum + size, 0);
}

/**
 * Writes the starting values of one parameter to its place in the flat array. It has its own stream, named by its
 * name, so that variants which share a parameter start from the same numbers.
 */
export function drawParameter(values: Float32Array, { name, offset, size, deviation }: Parameter, seed: number): void {
  if (deviation === undefined) {
    values.fill(1, offset, offset + size);
    return;
  }
  const random = randomStream(seed, "parameters", name);
  for (let i = offset; i < offset + size; i++) values[i] = deviation * random.gaussian();
}

/** The parameter of a name. Throws if there is none: a mistake in the engine, not in a config. */
export function parameterNamed(layout: readonly Parameter[], name: string): Parameter {
  const found = layout.find((parameter) => parameter.name === name);
  if (found === undefined) throw new Error(`no parameter is called ${name}`);
  return found;
}
