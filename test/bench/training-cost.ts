/** What a step costs as a model grows, in time and memory: forward and backward apart from the optimizer. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { RunConfig } from "../../src/config/schema.ts";
import { forwardFlopsPerToken } from "../../src/engine/flops.ts";
import { parameterCount, parameterLayout } from "../../src/engine/parameters.ts";
import { openWasmEngine } from "../../src/host/wasm-engine.ts";
import { type BenchTable, digits, logLogSlope, median } from "./bench.ts";
import type { Peer } from "./peer.ts";
import { cases, configOf, large, operations, type Size, tokensFor, tokensOfStep, train } from "./training-models.ts";

/** Milliseconds of a step without and of the optimizer, which touches every parameter. */
async function split(size: Size, kernels: "plain" | "relaxed", steps: number) {
  const config = configOf(size, kernels, 1);
  const engine = await openWasmEngine(config, true);
  const tokens = tokensFor(config);
  train(engine, tokens, 2);
  const sum = (ofOptimizer: boolean) =>
    engine.profile!()
      .filter(({ part }) => (part === "optimizer" || part === "clearing gradients") === ofOptimizer)
      .reduce((all, { forward, backward }) => all + forward + backward, 0);
  const model: number[] = [];
  const optimizer: number[] = [];
  for (let step = 0; step < steps; step++) {
    const before = [sum(false), sum(true)] as const;
    train(engine, tokens, 1);
    model.push(sum(false) - before[0]);
    optimizer.push(sum(true) - before[1]);
  }
  engine.close();
  return { config, model: median(model), optimizer: median(optimizer) };
}

export async function largerModel(peak: number, quick: boolean): Promise<BenchTable> {
  const rows: (string | number)[][] = [];
  for (const [name, size] of Object.entries({ lm128: cases.lm128, larger: large })) {
    for (const kernels of ["plain", "relaxed"] as const) {
      const { config, model, optimizer } = await split(size, kernels, quick ? 1 : 3);
      const speed = operations(config) / model / 1e6;
      const parameters = parameterCount(parameterLayout(config)) / 1e6;
      rows.push([`${name}, ${kernels}`, parameters, model, optimizer, speed, `${((100 * speed) / peak).toFixed(0)} %`]);
    }
  }
  return {
    title: "a larger model (4 layers, hidden 256, 128 experts, top-8) beside lm128, one thread",
    columns: ["", "M parameters", "fwd + bwd ms", "optimizer ms", "GFLOP/s", "of 128-bit peak"],
    rows,
  };
}

export async function expertCurve(quick: boolean): Promise<{ table: BenchTable; note: string }> {
  const points: Record<"experts" | "active" | "all" | "model" | "optimizer", number>[] = [];
  for (const experts of [8, 16, 32, 64, 128, 256, 512]) {
    const size = { layers: 2, hiddenSize: 64, experts, topK: 4, expertHiddenSize: 64 };
    const { config, model, optimizer } = await split(size, "plain", quick ? 1 : 8);
    const perToken = tokensOfStep(config) / 1000;
    const all = parameterCount(parameterLayout(config));
    points.push({
      experts,
      active: forwardFlopsPerToken(config),
      all,
      model: model / perToken,
      optimizer: optimizer / perToken,
    });
  }
  const slope = (of: "active" | "all" | "model" | "optimizer") =>
    logLogSlope(points.map((point) => [point.experts, point[of]])).toFixed(2);
  return {
    table: {
      title: "cost a token over the number of experts (top-4, hidden 64, expert hidden 64, plain, one thread)",
      columns: ["experts", "active kFLOP", "M parameters", "fwd + bwd us", "optimizer us"],
      rows: points.map(({ experts, active, all, model, optimizer }) => [
        String(experts),
        active / 1e3,
        all / 1e6,
        model,
        optimizer,
      ]),
    },
    note: `Slopes over the number of experts, log-log: active operations ${slope("active")}, all parameters ${slope("all")}, forward and backward ${slope("model")}, optimizer ${slope("optimizer")}.`,
  };
}

const dist = fileURLToPath(new URL("../../dist", import.meta.url));

/**
 * A program tells its peak of memory when it ends. Where the system keeps one for each program that is taken: maxRSS
 * begins at that of the program which started it.
 */
const tell = `
  import { existsSync, readFileSync } from "node:fs";
  const status = "/proc/self/status";
  process.on("exit", () => {
    const own = existsSync(status) ? /VmHWM:\\s*(\\d+)/.exec(readFileSync(status, "utf8"))[1] : undefined;
    console.error("peak " + (own ?? process.resourceUsage().maxRSS));
  });`;

/** Runs a program on what ships. @returns what it said, and its peak of memory in MiB */
function measured(args: readonly string[]): { said: string; mebibytes: number } {
  const hook = `data:text/javascript,${encodeURIComponent(tell)}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", hook, ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  const peaks = [...stderr.matchAll(/^peak (\d+)$/gm)].map((match) => Number(match[1]));
  return { said: stdout, mebibytes: Math.max(...peaks) / 1024 };
}

/** A few steps in a process of its own. */
function stepsAlone(config: RunConfig) {
  const engine = pathToFileURL(join(dist, "src/host/wasm-engine.js")).href;
  const tokens = tokensFor(config).length;
  return measured([
    "--input-type=module",
    "--eval",
    `const { openWasmEngine } = await import(${JSON.stringify(engine)});
     const engine = await openWasmEngine(${JSON.stringify(config)});
     for (let step = 0; step < 5; step++) engine.train({ tokens: new Uint8Array(${tokens}).fill(97) }, 1e-3);
     engine.close();`,
  ]);
}

/** From the start of the process to the end of the quickstart's first step, data and threads included. */
function firstStepAlone() {
  const from = (path: string) => JSON.stringify(pathToFileURL(join(dist, "src", path)).href);
  return measured([
    "--input-type=module",
    "--eval",
    `const { readConfig } = await import(${from("host/read-config.js")});
     const [{ openData }, { openEngine }, { simulate }] = await Promise.all([
       import(${from("host/open-data.js")}), import(${from("host/open-engine.js")}), import(${from("simulate.js")})]);
     const { config } = (await readConfig("quickstart", [])).variants[0];
     const engine = await openEngine(config);
     simulate(config, { engine, data: openData(config, process.cwd()) }).next();
     console.log(performance.now());
     engine.close();`,
  ]);
}

export async function memoryAndStart(peer: Peer | undefined, quick: boolean): Promise<BenchTable> {
  const rows: (readonly [string, string, string])[] = [
    [
      "five steps of lm128, ours, 2 threads: peak MiB",
      digits(stepsAlone(configOf(cases.lm128, "plain", 2)).mebibytes),
      "",
    ],
  ];
  if (peer) {
    const { peakMiB } = await peer.ask<{ peakMiB: number }>({ memory: true });
    rows.push(["PyTorch through all of the above: peak MiB", digits(peakMiB), ""]);
  }
  const firstSteps = Array.from({ length: quick ? 1 : 5 }, () => Number(firstStepAlone().said));
  rows.push(["quickstart, start of Node to the end of the first step: ms", digits(median(firstSteps)), "1000"]);
  const results = mkdtempSync(join(tmpdir(), "moge-bench-"));
  const command = [join(dist, "src/cli/main.js"), "run", "quickstart", "--results", results, "--progress", "none"];
  const steps = quick ? ["--set", "training.steps=5"] : [];
  rows.push(["quickstart: peak MiB", digits(measured([...command, ...steps]).mebibytes), "286 (300 MB)"]);
  rmSync(results, { recursive: true, force: true });
  return { title: "memory and start", columns: ["", "", "at most"], rows };
}
