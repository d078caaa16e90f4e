/** What a balancing rule is: either a loss that pushes the router's probabilities, or a bias that shifts its choice. */
import type { Floats } from "../core/floats.ts";
import type { Knob } from "../core/knob.ts";
import type { RouterShape } from "../routing/router.ts";

interface Described {
  readonly title: string;
  readonly formula: string;
  readonly source: string;
  readonly knobs: Readonly<Record<string, Knob>>;
}

/** A loss over a batch of tokens; the choice of experts is a constant to its gradient. */
export interface BalancingLoss extends Described {
  readonly kind: "loss";
  /**
   * The loss, without its coefficient.
   * @param load [N] assignments per expert among `loadTokens` tokens
   * @param probabilitySum [N] sums of the probabilities over `tokens` tokens
   * @param gradient [N] written: the derivative by the probability of any one of those tokens
   */
  evaluate(
    load: Floats,
    loadTokens: number,
    probabilitySum: Floats,
    tokens: number,
    shape: RouterShape,
    gradient: Float64Array,
  ): number;
}

/** A rule that moves a per-expert bias after each step; the bias enters the choice, never the weights. */
export interface BiasRule extends Described {
  readonly kind: "bias";
  /** @param bias [N] moved in place @param load [N] assignments of the step */
  update(bias: Floats, load: ArrayLike<number>, knobs: Readonly<Record<string, unknown>>): void;
}
