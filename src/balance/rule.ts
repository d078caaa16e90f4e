/**
 * What a balancing rule is: either a loss that pushes the router's probabilities, or a bias that shifts its choice.
 * Both get the values of their own knobs, typed by the knobs that they declare.
 */
import type { Floats } from "../core/floats.ts";
import type { ChoiceKnob, Knobs, KnobValues, NumberKnob } from "../core/knob.ts";
import type { RouterShape } from "../routing/router.ts";

/** Which tokens a loss counts the load of. */
export const scopes = {
  "micro-batch": "counts of one rank's micro-batch, as most frameworks do",
  "global-batch":
    "counts summed over data-parallel ranks and over the micro-batches of the step so far (Qwen, arXiv:2501.11873)",
} as const;

export type BalanceScope = keyof typeof scopes;

/** The knobs that every loss has. */
export type LossKnobs = Knobs & { readonly coefficient: NumberKnob; readonly scope: ChoiceKnob<BalanceScope> };

interface Described<Table extends Knobs> {
  readonly title: string;
  readonly formula: string;
  readonly source: string;
  readonly knobs: Table;
}

/** What a loss is worked out from. */
export interface LossContext {
  readonly shape: RouterShape;
  /** [N] assignments per expert among `loadTokens` tokens: a constant to the gradient */
  readonly load: Floats;
  readonly loadTokens: number;
  /** [N] sums of the probabilities over `tokens` tokens */
  readonly probabilitySum: Floats;
  readonly tokens: number;
}

/** A loss over a batch of tokens; the choice of experts is a constant to its gradient. */
export interface BalancingLoss<Table extends LossKnobs = LossKnobs> extends Described<Table> {
  readonly kind: "loss";
  /**
   * The loss, without its coefficient.
   * @param gradient [N] written: the derivative by the probability of any one of the `tokens` tokens
   */
  evaluate(context: LossContext, gradient: Float64Array, knobs: KnobValues<Table>): number;
}

/** A rule that moves a per-expert bias after each step; the bias enters the choice, never the weights. */
export interface BiasRule<Table extends Knobs = Knobs> extends Described<Table> {
  readonly kind: "bias";
  /** @param bias [N] moved in place @param load [N] assignments of the step */
  update(bias: Floats, load: ArrayLike<number>, knobs: KnobValues<Table>): void;
}

/** Gives the loss as it is; its knobs' types are inferred. */
export const balancingLoss = <const Table extends LossKnobs>(loss: BalancingLoss<Table>): BalancingLoss<Table> => loss;

/** Gives the rule as it is; its knobs' types are inferred. */
export const biasRule = <const Table extends Knobs>(rule: BiasRule<Table>): BiasRule<Table> => rule;
