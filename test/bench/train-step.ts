/**
 * Milliseconds of a training step of the wasm engine at quickstart size, on one and two threads, with plain and
 * relaxed kernels, taken in turns. Run: node --import tsx test/bench/train-step.ts [steps]
 */
import { resolveConfig } from "../../src/config/resolve.ts";
import type { RunConfig } from "../../src/config/schema.ts";
import { randomStream } from "../../src/core/random.ts";
import { openWasmEngine } from "../../src/host/wasm-engine.ts";

const ROUNDS = 3;
const WARM_UP_STEPS = 10;

function quickstart(...sets: string[]): RunConfig {
  const read = () => "name: bench\ndata: { kind: synthetic }\nrouter: { selection: moge }\n";
  return resolveConfig({ path: "bench.yaml", sets, read, besides: (_, relative) => relative }).variants[0]!.config;
}

function randomTokens({ model, training }: RunConfig): Uint8Array {
  const random = randomStream(1, "bench");
  const sequences = training.microBatches * training.ranks * training.sequences;
  return Uint8Array.from({ length: sequences * (model.context + 1) }, () => 97 + random.below(26));
}

/** Milliseconds of each step, sorted. */
async function time(config: RunConfig, steps: number): Promise<{ description: string; milliseconds: number[] }> {
  const engine = await openWasmEngine(config);
  const tokens = randomTokens(config);
  const milliseconds: number[] = [];
  for (let step = -WARM_UP_STEPS; step < steps; step++) {
    const start = performance.now();
    engine.train({ tokens }, 1e-3);
    if (step >= 0) milliseconds.push(performance.now() - start);
  }
  engine.close();
  return { description: engine.description, milliseconds: milliseconds.sort((a, b) => a - b) };
}

const steps = Number(process.argv[2] ?? 40);
for (let round = 1; round <= ROUNDS; round++) {
  for (const kernels of ["plain", "relaxed"]) {
    for (const threads of [1, 2]) {
      const config = quickstart(`engine.kernels=${kernels}`, `engine.threads=${threads}`);
      const { description, milliseconds } = await time(config, steps);
      const median = milliseconds[Math.floor(steps / 2)]!;
      console.log(
        `round ${round}  ${description}: median ${median.toFixed(1)} ms, best ${milliseconds[0]!.toFixed(1)} ms`,
      );
    }
  }
}
