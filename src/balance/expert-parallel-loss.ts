/**
 * The loss over expert-parallel groups: balances the ranks and leaves the experts inside them alone. Under MoGE with
 * whole groups on each rank and softmax scores it is 1 whatever the router does, and has no gradient.
 */
import { assignmentShares, blockKinds, blockLoss, visitShares } from "./blocks.ts";
import { balancingLoss, scopeKnob } from "./rule.ts";

export const expertParallelLoss = balancingLoss({
  kind: "loss",
  title: "load-balancing loss over expert-parallel ranks",
  formula:
    "α · G Σ_g f_g p_g,  f_g = share of the assignments (or of the tokens) that rank g gets,  p_g = Σ_{i in g} p_i",
  source: "Step-3.5, section 2.2, eq. 1; its code counts tokens that meet the rank at least once",
  knobs: {
    coefficient: { kind: "layerwise", default: 1e-3, minimum: 0, help: "α", source: "default of Step-3.5's code" },
    scope: scopeKnob("micro-batch"),
    over: { kind: "choice", default: "devices", options: blockKinds, help: "what counts as a rank" },
    counts: {
      kind: "choice",
      default: "assignments",
      options: {
        assignments: "every assignment (Step-3.5's paper)",
        tokens: "every token once a rank, as a share of the tokens (Step-3.5's code)",
      },
      help: "what f counts",
    },
  },
  statistics: ({ counts, over }) => [
    counts === "assignments" ? "load" : over === "devices" ? "device-visits" : "group-visits",
    "probability",
  ],
  evaluate: (context, gradients, { counts, over }) =>
    blockLoss(
      counts === "assignments" ? assignmentShares(over, context) : visitShares(over, 1, context),
      context,
      gradients,
    ),
});
