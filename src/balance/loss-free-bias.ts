/** Loss-free balancing: after each step the bias of an overloaded expert goes down by a fixed rate, of an underloaded one up. */
import { mean } from "../core/statistics.ts";
import { biasRule } from "./rule.ts";

export const lossFreeBias = biasRule({
  kind: "bias",
  title: "loss-free balancing by a selection bias",
  formula: "b_i += u · sign(mean load − load_i);  experts are chosen by s_i + b_i, weighed by s_i",
  source: "Wang et al. 2024, arXiv:2408.15664; centring as in torchtitan",
  knobs: {
    rate: {
      kind: "number",
      default: 0.001,
      minimum: 0,
      help: "u, the step of the bias",
      source: "arXiv:2408.15664 (sigmoid scores)",
    },
    centred: {
      kind: "boolean",
      default: false,
      help: "subtract the mean of the steps, so that the biases keep their sum",
    },
  },
  update(bias, load, { rate, centred }) {
    const middle = mean(load);
    const signs = Array.from(load, (each) => Math.sign(middle - each));
    const drift = centred ? mean(signs) : 0;
    for (let i = 0; i < bias.length; i++) bias[i] = bias[i]! + rate * (signs[i]! - drift);
  },
});
