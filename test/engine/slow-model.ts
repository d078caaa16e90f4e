/**
 * The whole model once more, in plain TypeScript and doubles: one token after another, every sum written out, no
 * line shared with an engine. It only goes forward; tests take its derivatives by finite differences.
 */
import type { RunConfig } from "../../src/config/schema.ts";
import { parameterLayout } from "../../src/engine/parameters.ts";

export interface SlowResult {
  /** Mean cross-entropy, nats a byte. */
  readonly crossEntropy: number;
  /** Cross-entropy plus balancing losses: what training lowers. */
  readonly objective: number;
  /** Chosen experts of all tokens, in order; equal keys mean equal routing. */
  readonly choices: string;
}

type Row = number[];
/** A parameter by name, whole or row by row. */
type Weights = (name: string) => { row(i: number, width: number): Row; readonly values: Float64Array };

const dot = (a: Row, b: Row): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const add = (a: Row, b: Row): Row => a.map((x, i) => x + b[i]!);
const sum = (a: Row): number => a.reduce((x, y) => x + y, 0);
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

function softmax(x: Row): Row {
  const largest = Math.max(...x);
  const powers = x.map((value) => Math.exp(value - largest));
  const total = sum(powers);
  return powers.map((power) => power / total);
}

function norm(x: Row, gain: Row): Row {
  const scale = 1 / Math.sqrt(dot(x, x) / x.length + 1e-5);
  return x.map((value, i) => value * scale * gain[i]!);
}

/** x · W, W [in, out] from `offset` of the parameter on */
function times(x: Row, weights: Float64Array, outputs: number, offset = 0): Row {
  const y = new Array<number>(outputs).fill(0);
  for (const [i, value] of x.entries()) {
    for (let o = 0; o < outputs; o++) y[o]! += value * weights[offset + i * outputs + o]!;
  }
  return y;
}

/** @param which of several equal SwiGLUs in one parameter */
function swiglu(x: Row, weights: Weights, name: string, width: number, which = 0): Row {
  const gateUp = times(x, weights(`${name}.up`).values, 2 * width, which * x.length * 2 * width);
  const hidden = gateUp.slice(0, width).map((gate, i) => gate * sigmoid(gate) * gateUp[width + i]!);
  return times(hidden, weights(`${name}.down`).values, x.length, which * width * x.length);
}

function attention(x: Row[], weights: Weights, name: string, heads: number): Row[] {
  const H = x[0]!.length;
  const size = H / heads;
  const gain = weights(`${name}.norm`).row(0, H);
  const qkv = x.map((row) => times(norm(row, gain), weights(`${name}.qkv`).values, 3 * H));
  const part = (t: number, which: number, h: number) => qkv[t]!.slice(which * H + h * size, which * H + (h + 1) * size);
  return x.map((row, t) => {
    const attended = Array.from({ length: heads }, (_, h) => {
      const before = Array.from({ length: t + 1 }, (_, s) => s);
      const p = softmax(before.map((s) => dot(part(t, 0, h), part(s, 1, h)) / Math.sqrt(size)));
      return before.map((s) => part(s, 2, h).map((v) => p[s]! * v)).reduce(add);
    });
    return add(row, times(attended.flat(), weights(`${name}.output`).values, H));
  });
}

interface Choice {
  readonly probabilities: Row;
  readonly experts: Row;
  readonly gates: Row;
}

function choose(logits: Row, { model, router }: RunConfig, bias: Row): Choice {
  const { experts, topK, groups } = model;
  const scores = router.scoreFunction === "softmax" ? softmax(logits) : logits.map(sigmoid);
  const best = (candidates: Row, count: number) =>
    [...candidates].sort((a, b) => scores[b]! + bias[b]! - scores[a]! - bias[a]! || a - b).slice(0, count);
  const all = scores.map((_, i) => i);
  const size = experts / groups;
  const chosen =
    router.selection === "moge"
      ? Array.from({ length: groups }, (_, g) => best(all.slice(g * size, (g + 1) * size), topK / groups)).flat()
      : best(all, topK);
  const total = router.normalisation === "chosen" ? sum(chosen.map((i) => scores[i]!)) : 1;
  return {
    probabilities: scores.map((score) => score / sum(scores)),
    experts: chosen,
    gates: chosen.map((i) => (router.scale * scores[i]!) / total),
  };
}

/** The tokens of one rank's share of a micro-batch, or of a whole one, as the balancing loss sees them. */
function switchLoss(choices: Choice[], counted: Choice[], { experts, topK }: RunConfig["model"]): number {
  return sum(
    Array.from({ length: experts }, (_, i) => {
      const load = counted.filter((choice) => choice.experts.includes(i)).length;
      const mean = sum(choices.map(({ probabilities }) => probabilities[i]!)) / choices.length;
      return (experts / (topK * counted.length)) * load * mean;
    }),
  );
}

/** Cross-entropies of one sequence's tokens, and its choices in each layer. @param tokens context + 1 bytes */
function sequence(tokens: number[], config: RunConfig, weights: Weights): { losses: Row; choices: Choice[][] } {
  const {
    layers,
    hiddenSize: H,
    heads,
    experts,
    feedForward,
    topK,
    sharedExperts,
    expertHiddenSize: F,
    tiedHead,
  } = config.model;
  const bias = Array.from({ length: experts }, (_, i) => config.router.bias[i] ?? 0);
  let x = tokens.slice(0, -1).map((token, s) => add(weights("embedding").row(token, H), weights("position").row(s, H)));
  const choices: Choice[][] = [];
  for (let l = 0; l < layers; l++) {
    const name = `layers.${l}`;
    x = attention(x, weights, `${name}.attention`, heads);
    const hidden = x.map((row) => norm(row, weights(`${name}.feedForward.norm`).row(0, H)));
    if (feedForward === "dense") {
      x = x.map((row, t) => add(row, swiglu(hidden[t]!, weights, `${name}.dense`, (topK + sharedExperts) * F)));
      continue;
    }
    const ofLayer = hidden.map((row) => choose(times(row, weights(`${name}.router`).values, experts), config, bias));
    choices.push(ofLayer);
    x = x.map((row, t) => {
      const { experts: chosen, gates } = ofLayer[t]!;
      const outputs = chosen.map((i, j) =>
        swiglu(hidden[t]!, weights, `${name}.experts`, F, i).map((y) => gates[j]! * y),
      );
      const shared = sharedExperts > 0 ? [swiglu(hidden[t]!, weights, `${name}.shared`, sharedExperts * F)] : [];
      return [...outputs, ...shared].reduce(add, row);
    });
  }
  const losses = x.map((row, t) => {
    const final = norm(row, weights("final.norm").row(0, H));
    const logits = tiedHead
      ? Array.from({ length: 256 }, (_, v) => dot(final, weights("embedding").row(v, H)))
      : times(final, weights("head").values, 256);
    return -Math.log(softmax(logits)[tokens[t + 1]!]!);
  });
  return { losses, choices };
}

/**
 * @param parameters flat, in the order of `parameterLayout`
 * @param tokens [microBatches, ranks · sequences, context + 1]
 */
export function slowModel(config: RunConfig, parameters: Float64Array, tokens: Uint8Array): SlowResult {
  const layout = new Map(
    parameterLayout(config).map((p) => [p.name, parameters.subarray(p.offset, p.offset + p.size)]),
  );
  const weights: Weights = (name) => {
    const values = layout.get(name)!;
    return { values, row: (i, width) => [...values.subarray(i * width, (i + 1) * width)] };
  };
  const length = config.model.context + 1;
  const runs = Array.from({ length: tokens.length / length }, (_, b) =>
    sequence([...tokens.subarray(b * length, (b + 1) * length)], config, weights),
  );
  const losses = runs.flatMap((run) => run.losses);
  const crossEntropy = sum(losses) / losses.length;
  return {
    crossEntropy,
    objective:
      crossEntropy +
      balance(
        runs.map((run) => run.choices),
        config,
      ),
    choices: JSON.stringify(runs.map((run) => run.choices.map((layer) => layer.map(({ experts }) => experts)))),
  };
}

/** Mean over micro-batches and ranks of the switch losses of all layers. @param choices by sequence, layer, token */
function balance(choices: Choice[][][], { model, training, balance: rules }: RunConfig): number {
  const { sequences, ranks, microBatches } = training;
  let total = 0;
  for (let m = 0; m < microBatches; m++) {
    for (let rank = 0; rank < ranks; rank++) {
      const first = (m * ranks + rank) * sequences;
      for (let l = 0; l < choices[0]!.length; l++) {
        const own = choices.slice(first, first + sequences).flatMap((layers) => layers[l]!);
        const soFar = choices.slice(0, (m + 1) * ranks * sequences).flatMap((layers) => layers[l]!);
        for (const rule of rules) {
          if (rule.rule !== "switch-loss") continue;
          total += Number(rule["coefficient"]) * switchLoss(own, rule["scope"] === "global-batch" ? soFar : own, model);
        }
      }
    }
  }
  return total / (ranks * microBatches);
}
