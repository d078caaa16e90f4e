/** Loss-free balancing: after each step the bias of an overloaded expert goes down by a fixed rate, of an underloaded one up. */
import { cosineOfTurns } from "../core/elementary.ts";
import { titlesOf } from "../core/knob.ts";
import { mean } from "../core/statistics.ts";
import { biasRule } from "./rule.ts";

/** Share of the rate that is left at a point of the training, (0, 1]. */
const schedules = {
  constant: { title: "the same in every step", left: () => 1 },
  stop: { title: "constant, and 0 after `until` of the steps (DeepSeek-V3)", left: () => 1 },
  linear: {
    title: "down to 0 at `until` of the steps in a straight line",
    left: (progress: number, until: number) => 1 - progress / until,
  },
  cosine: {
    title: "down to 0 at `until` of the steps along a cosine",
    left: (progress: number, until: number) => 0.5 * (1 + cosineOfTurns(progress / until / 2)),
  },
} as const;

export const lossFreeBias = biasRule({
  kind: "bias",
  title: "loss-free balancing by a selection bias",
  formula: "b_i += u · sign(mean load − load_i);  experts are chosen by s_i + b_i, weighed by s_i",
  source: "Wang et al. 2024, arXiv:2408.15664; Megatron-LM, OLMo-core; centring as in torchtitan",
  knobs: {
    rate: {
      kind: "layerwise",
      default: 0.001,
      minimum: 0,
      help: "u, the step of the bias",
      source: "arXiv:2408.15664 (sigmoid scores); DeepSeek-V3",
    },
    centred: {
      kind: "boolean",
      default: false,
      help: "subtract the mean of the steps, so that the biases keep their sum",
    },
    schedule: {
      kind: "choice",
      default: "constant",
      options: titlesOf(schedules),
      help: "how the rate changes in training",
    },
    until: {
      kind: "number",
      default: 0.966,
      minimum: 0,
      maximum: 1,
      help: "share of the steps after which the rate is 0, unless the schedule is constant",
      source: "DeepSeek-V3, arXiv:2412.19437: 0.001 for 14.3 of 14.8 trillion tokens",
    },
  },
  update(bias, { load, progress }, { rate, centred, schedule, until }) {
    const left = schedule !== "constant" && progress > until ? 0 : schedules[schedule].left(progress, until);
    const middle = mean(load);
    const signs = Array.from(load, (each) => Math.sign(middle - each));
    const drift = centred ? mean(signs) : 0;
    for (let i = 0; i < bias.length; i++) bias[i] = bias[i]! + rate * left * (signs[i]! - drift);
  },
});
