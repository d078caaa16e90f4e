/**
 * The training step against PyTorch: the same models from the same weights on the same tokens, both sides' losses
 * compared before anything is timed, then rounds taken in turns. Alone: node --import tsx test/bench/training.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunConfig } from "../../src/config/schema.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { parameterLayout } from "../../src/engine/parameters.ts";
import { openWasmEngine } from "../../src/host/wasm-engine.ts";
import { type Bench, type BenchTable, interleaved, median, tableText } from "./bench.ts";
import { Peer } from "./peer.ts";
import { simdPeak } from "./simd-peak.ts";
import { expertCurve, largerModel, memoryAndStart } from "./training-cost.ts";
import {
  cases,
  configOf,
  LEARNING_RATE,
  operations,
  type Size,
  type Trained,
  tokensFor,
  tokensOfStep,
  train,
} from "./training-models.ts";
import { tfjsSteps } from "./training-tfjs.ts";

const CHECKED_STEPS = 3;
/** Between sums in two orders, after up to two optimizer steps, which amplify gradients that are almost zero. */
const TOLERANCE = 2e-4;

interface Contender {
  readonly name: string;
  readonly threads: number;
  /** Milliseconds of a step, the median of a few. */
  step(): Promise<number>;
}

/** Gives the peer the model and checks that it learns as ours does. @returns its fastest formulation by threads */
async function preparePeer(peer: Peer, size: Size, folder: string): Promise<Map<number, string>> {
  const config = configOf(size, "plain", 1);
  const engine = await openWasmEngine(config);
  const tokens = tokensFor(config);
  const [weights, batch] = [join(folder, "weights"), join(folder, "tokens")];
  writeFileSync(weights, engine.save().parameters);
  writeFileSync(batch, tokens);
  const { model, training } = config;
  const layout = parameterLayout(config).map(({ name, shape, offset }) => [name, shape, offset]);
  const sizes = { ...model, layout, sequences: training.sequences, learningRate: LEARNING_RATE, coefficient: 0.01 };
  await peer.ask({ model: { ...sizes, betas: [training.beta1, training.beta2] }, weights, tokens: batch });
  const expected = train(engine, tokens, CHECKED_STEPS).losses;
  engine.close();
  const fastest = new Map<number, string>();
  for (const threads of [1, 2]) {
    let best = Number.POSITIVE_INFINITY;
    for (const formulation of peer.about["formulations"] as string[]) {
      const ask = (steps: number, reset: boolean) => peer.ask<Trained>({ formulation, threads, steps, reset });
      compareLosses(formulation, (await ask(CHECKED_STEPS, true)).losses, expected);
      const time = Math.min(...(await ask(4, false)).milliseconds);
      if (time >= best) continue;
      best = time;
      fastest.set(threads, formulation);
    }
  }
  return fastest;
}

function compareLosses(who: string, losses: readonly number[], expected: readonly number[]): void {
  losses.forEach((loss, step) => {
    if (Math.abs(loss - expected[step]!) <= TOLERANCE) return;
    throw new Error(`${who}: loss ${loss} at step ${step + 1}, ours is ${expected[step]}; they are not the same model`);
  });
}

export async function compare(name: string, size: Size, peer: Peer | undefined, peak: number, quick: boolean) {
  const steps = quick ? 2 : 6;
  const folder = mkdtempSync(join(tmpdir(), "moge-bench-"));
  const engines: Engine[] = [];
  const contenders: Contender[] = [];
  try {
    const fastest = peer && (await preparePeer(peer, size, folder));
    for (const threads of [1, 2]) {
      const formulation = fastest?.get(threads);
      if (peer && formulation !== undefined) {
        const step = async () =>
          median((await peer.ask<Trained>({ formulation, threads, steps, reset: false })).milliseconds);
        contenders.push({ name: `PyTorch (${formulation})`, threads, step });
      }
      for (const kernels of ["plain", "relaxed"] as const) {
        const config = configOf(size, kernels, threads);
        const engine = await openWasmEngine(config);
        const tokens = tokensFor(config);
        engines.push(engine);
        contenders.push({
          name: `ours, ${kernels}`,
          threads,
          step: async () => median(train(engine, tokens, steps).milliseconds),
        });
      }
    }
    const key = ({ name: who, threads }: Contender) => `${who} ${threads}`;
    const times = await interleaved(
      quick ? 1 : 9,
      Object.fromEntries(contenders.map((contender) => [key(contender), contender.step])),
    );
    const timed = contenders.map((contender) => ({ ...contender, time: times[key(contender)]! }));
    return stepTable(name, configOf(size, "plain", 1), timed, peak);
  } finally {
    for (const engine of engines) engine.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Ratios are to PyTorch's best with as many threads or fewer. */
function stepTable(
  name: string,
  config: RunConfig,
  timed: readonly { readonly name: string; readonly threads: number; readonly time: number }[],
  peak: number,
): BenchTable {
  const peers = timed.filter((each) => each.name.startsWith("PyTorch"));
  const rows = timed.map(({ name: who, threads, time }) => {
    const best = Math.min(...peers.filter((each) => each.threads <= threads).map((each) => each.time));
    const speed = operations(config) / time / 1e6;
    const ratio = Number.isFinite(best) ? (time / best).toFixed(2) : "-";
    const share = `${((100 * speed) / (threads * peak)).toFixed(0)} %`;
    return [who, threads, time, ratio, (1000 * tokensOfStep(config)) / time, speed, share];
  });
  return {
    title: `training step, ${name}: ${(operations(config) / 3e9).toFixed(2)} GFLOP forward`,
    columns: ["", "threads", "ms", "x PyTorch", "tokens/s", "GFLOP/s", "of 128-bit peak"],
    rows,
  };
}

export const bench: Bench = {
  title: "a training step against PyTorch",
  async run(options) {
    const peak = await simdPeak();
    const peer = await Peer.open("training.py");
    const notes = [
      `128-bit SIMD peak of a core, measured on registers alone, fused where the machine can: ${peak.toFixed(1)} GFLOP/s. GFLOP count matrix products and attention, three times the forward pass.`,
      peer
        ? `PyTorch ${String(peer.about["torch"])} with ${String(peer.about["blas"])}, the fastest of ${(peer.about["formulations"] as string[]).length} formulations for each number of threads; its losses and ours agree to ${TOLERANCE} over ${CHECKED_STEPS} steps from the same weights.`
        : "Skipped: PyTorch. No python3 here has it (Debian: python3-torch, and libopenblas0-openmp, without which it is ten times slower); our figures stand alone.",
    ];
    const tables: BenchTable[] = [];
    for (const [name, size] of Object.entries(cases)) {
      tables.push(await compare(name, size, peer, peak, options.quick));
    }
    tables.push(await memoryAndStart(peer, options.quick));
    peer?.close();
    const curve = await expertCurve(options.quick);
    const reference = await tfjsSteps();
    tables.push(curve.table, await largerModel(peak, options.quick), reference.table);
    return { tables, notes: [...notes, curve.note, ...reference.notes] };
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { tables, notes } = await bench.run({ quick: process.argv.includes("--quick") });
  for (const table of tables) console.log(`\n${tableText(table)}`);
  for (const note of notes) console.log(`\n${note}`);
  process.exit(0);
}
