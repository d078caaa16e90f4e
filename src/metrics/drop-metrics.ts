/** The table of metrics that compare what a router chose with what found room. A new one is one entry here. */
import { type Choice, NO_EXPERT } from "../routing/assignment.ts";
import type { MetricDescription } from "./metric.ts";

/** A batch before and after dropping. */
export interface DroppedBatch {
  /** What is left. */
  readonly assignment: Choice;
  /** [T, slots] the experts before any was dropped; the assignment's own array where nothing drops */
  readonly chosen: Int32Array;
}

export interface DropMetric extends MetricDescription {
  /** NaN where nothing was chosen. */
  of(batch: DroppedBatch): number;
}

const dropRate: DropMetric = {
  title: "drop rate",
  formula: "assignments dropped / assignments chosen",
  unit: "1",
  direction: "lower is better",
  source: "Switch Transformer, arXiv:2101.03961, section 2.2, where K is 1 and tokens and assignments are the same",
  column: "drop_rate",
  of({ assignment: { experts }, chosen }) {
    let wanted = 0;
    let dropped = 0;
    for (let j = 0; j < chosen.length; j++) {
      if (chosen[j] === NO_EXPERT) continue;
      wanted++;
      if (experts[j] === NO_EXPERT) dropped++;
    }
    return dropped / wanted;
  },
};

const unservedTokens: DropMetric = {
  title: "tokens without any expert, which take the residual path alone",
  formula: "share of tokens of which no assignment is left",
  unit: "1",
  direction: "lower is better",
  source: "Zhou et al. 2022, arXiv:2202.09368, section 1; includes tokens that no expert chose",
  column: "tokens_without_expert",
  of({ assignment: { tokens, slots, experts } }) {
    let without = 0;
    for (let t = 0; t < tokens; t++) {
      let isServed = false;
      for (let j = t * slots; j < (t + 1) * slots && !isServed; j++) isServed = experts[j] !== NO_EXPERT;
      if (!isServed) without++;
    }
    return without / tokens;
  },
};

export const dropMetrics = {
  "drop-rate": dropRate,
  "tokens-without-expert": unservedTokens,
} satisfies Record<string, DropMetric>;

export type DropMetricName = keyof typeof dropMetrics;
