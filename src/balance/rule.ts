/**
 * What a balancing rule is: either a loss that pushes the router's probabilities, or a bias that shifts its choice.
 * Both get the values of their own knobs, typed by the knobs that they declare.
 */
import type { Floats } from "../core/floats.ts";
import type { ChoiceKnob, Knobs, KnobValues, LayerwiseKnob } from "../core/knob.ts";
import type { Routing, RoutingSettings } from "../routing/route.ts";
import type { BalanceShape } from "./statistic.ts";
import type { StatisticName } from "./statistics.ts";

/** Which tokens a loss balances together. */
export const scopes = {
  sequence: "every sequence by itself, mean over sequences (DeepSeek's complementary loss, OLMo-core's `instance`)",
  "micro-batch": "one rank's micro-batch, mean over ranks, as most frameworks do",
  "ep-group": "the micro-batch of all ranks of an expert-parallel group (Pangu Ultra MoE, arXiv:2505.04519)",
  "global-batch":
    "as `ep-group`, with counts summed over the micro-batches of the step so far (Qwen, arXiv:2501.11873; Megatron-LM)",
} as const;

export type BalanceScope = keyof typeof scopes;

/** The knobs that every loss has. */
export type LossKnobs = Knobs & { readonly coefficient: LayerwiseKnob; readonly scope: ChoiceKnob<BalanceScope> };

/** The knob that says which tokens are balanced together. */
export const scopeKnob = <const Scope extends BalanceScope>(fallback: Scope) =>
  ({ kind: "choice", default: fallback, options: scopes, help: "the tokens balanced together" }) as const;

interface Described<Table extends Knobs> {
  readonly title: string;
  readonly formula: string;
  readonly source: string;
  readonly knobs: Table;
  /** What is wrong with the rule beside this router, or undefined. */
  contradiction?(router: RoutingSettings, shape: BalanceShape, knobs: KnobValues<Table>): string | undefined;
}

/** Sums by the name of their statistic; those that a loss asked for are there. */
export type Sums<Values extends Floats = Floats> = { readonly [Name in StatisticName]: Values };

/** What a loss is worked out from. */
export interface LossContext {
  readonly shape: BalanceShape;
  /** Sums of the statistics; those that are counts are over `countedTokens` tokens, the others over `tokens`. */
  readonly sums: Sums;
  readonly tokens: number;
  readonly countedTokens: number;
  /** Of losses that have a state. */
  readonly state: number;
}

/** What a layer did in a step, for rules that change between steps. */
export interface LayerStepLoad {
  /** [N] assignments before dropping */
  readonly load: Floats;
  readonly tokens: number;
}

/** A number that a loss carries from step to step. */
export interface LossState<Table extends Knobs> {
  initial(knobs: KnobValues<Table>): number;
  /** @param layers what all MoE layers did in the step */
  next(state: number, layers: readonly LayerStepLoad[], shape: BalanceShape, knobs: KnobValues<Table>): number;
}

/** A loss over a batch of tokens; the choice of experts is a constant to its gradient. */
export interface BalancingLoss<Table extends LossKnobs = LossKnobs> extends Described<Table> {
  readonly kind: "loss";
  /** What it is made of. */
  statistics(knobs: KnobValues<Table>): readonly StatisticName[];
  readonly state?: LossState<Table>;
  /**
   * The loss, without its coefficient.
   * @param gradients zeros; the derivatives by the sums are written to those that are no counts
   */
  evaluate(context: LossContext, gradients: Sums<Float64Array>, knobs: KnobValues<Table>): number;
}

/** A rule that moves a per-expert bias after each step; the bias enters the choice, never the weights. */
export interface BiasRule<Table extends Knobs = Knobs> extends Described<Table> {
  readonly kind: "bias";
  /** Looks at a routed micro-batch. @param seen [N] added to; zeros at the beginning of a step */
  observe?(routing: Routing, bias: Floats, seen: Float64Array): void;
  /** @param bias [N] moved in place */
  update(bias: Floats, step: BiasStep, knobs: KnobValues<Table>): void;
}

/** What a bias rule goes by after a step. */
export interface BiasStep extends LayerStepLoad {
  /** Share of the training that is done, (0, 1]. */
  readonly progress: number;
  /** [N] what it saw, added up over the micro-batches */
  readonly seen: Floats;
  readonly microBatches: number;
}

/** Gives the loss as it is; its knobs' types are inferred. */
export const balancingLoss = <const Table extends LossKnobs>(loss: BalancingLoss<Table>): BalancingLoss<Table> => loss;

/** Gives the rule as it is; its knobs' types are inferred. */
export const biasRule = <const Table extends Knobs>(rule: BiasRule<Table>): BiasRule<Table> => rule;
