/** Routing of large batches: the batch router beside PyTorch, like for like, at one thread and at two. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { randomStream } from "../../src/core/random.ts";
import type { BatchRouter, RoutedTokens } from "../../src/engine/batch-router.ts";
import { openBatchRouter } from "../../src/host/open-batch-router.ts";
import { placements } from "../../src/placement/placements.ts";
import type { RoutingSettings } from "../../src/routing/route.ts";
import type { RouterShape } from "../../src/routing/router.ts";
import { type Bench, type BenchResult, interleaved, secondsOf } from "./bench.ts";
import { Peer } from "./peer.ts";
import { readingSeconds } from "./reading.ts";

const BATCH = 256;
const DEVICES = 8;

interface Case {
  readonly name: string;
  readonly title: string;
  readonly shape: RouterShape;
  readonly settings: RoutingSettings;
  /** Ratio to PyTorch that is wanted. */
  readonly wanted?: number;
}

const settings = (
  selection: RoutingSettings["selection"],
  normalisation: RoutingSettings["normalisation"],
  options?: RoutingSettings["options"],
): RoutingSettings => ({ selection, scoreFunction: "softmax", normalisation, scale: 1, options });

const plain = { experts: 64, topK: 8, groups: 1 };
const grouped = { experts: 64, topK: 8, groups: 8 };

export const cases: readonly Case[] = [
  { name: "topk", title: "top-8 of 64", shape: plain, settings: settings("topk", "none"), wanted: 5 },
  { name: "moge", title: "MoGE 8 x top-1 of 64", shape: grouped, settings: settings("moge", "none"), wanted: 3 },
  {
    name: "group-limited",
    title: "256 / 8 / 4 / 8",
    shape: { experts: 256, topK: 8, groups: 8 },
    settings: settings("group-limited", "none", { limit: 4, groupScore: "top-2-sum" }),
    wanted: 7,
  },
  { name: "topk-chosen", title: "top-8, chosen only", shape: plain, settings: settings("topk", "chosen") },
  { name: "moge-chosen", title: "MoGE, chosen only", shape: grouped, settings: settings("moge", "chosen") },
];

function drawLogits(count: number): Float32Array {
  const random = randomStream(1, "bench", "routing");
  const logits = new Float32Array(count);
  for (let i = 0; i < count; i++) logits[i] = random.gaussian();
  return logits;
}

export const bench: Bench = {
  title: `1 M tokens x 64 logits (or 262,144 x 256), loads of ${DEVICES} devices per batch of ${BATCH}`,
  async run({ quick }) {
    const logits = drawLogits(quick ? 2 ** 22 : 2 ** 26);
    const folder = mkdtempSync(join(tmpdir(), "moge-bench-"));
    try {
      const path = join(folder, "logits.bin");
      writeFileSync(path, logits);
      const peer = await Peer.open("routing.py", path);
      const result = await compare(logits, peer, folder, quick ? 1 : 5);
      peer?.close();
      return result;
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

async function compare(logits: Float32Array, peer: Peer | undefined, folder: string, rounds: number) {
  const rows: (string | number)[][] = [];
  const notes: string[] = [];
  for (const each of cases) {
    const { name, title, shape, wanted } = each;
    const tokens = logits.length / shape.experts;
    const routers = [await open(each, tokens, 1), await open(each, tokens, 2)] as const;
    for (const router of routers) router.logits.set(logits);
    if (peer !== undefined) notes.push(await checked(each, routers[1].route(), peer, join(folder, name)));
    const torch = (threads: number) =>
      peer === undefined ? 0 : peer.ask<{ seconds: number }>({ case: name, threads }).then(({ seconds }) => seconds);
    const { one, two, torchOne, torchTwo, reading } = await interleaved(rounds, {
      one: () => secondsOf(() => routers[0].route()),
      torchOne: () => torch(1),
      two: () => secondsOf(() => routers[1].route()),
      torchTwo: () => torch(2),
      reading: () => readingSeconds(routers[1].logits, 2),
    });
    const millions = (seconds: number) => tokens / seconds / 1e6;
    for (const [threads, ours, theirs] of [
      [1, one, torchOne],
      [2, two, torchTwo],
    ] as const) {
      const compared = peer === undefined ? ["-", "-"] : [millions(theirs), theirs / ours];
      rows.push([title, threads, millions(ours), ...compared, wanted ?? "-", threads === 2 ? reading / ours : "-"]);
    }
    for (const router of routers) router.close();
  }
  return {
    tables: [
      {
        title: "million tokens a second; the last column is the time of merely reading the logits over ours",
        columns: ["router", "threads", "moge", "PyTorch", "ratio", "wanted", "reading"],
        rows,
      },
    ],
    notes: [...aboutPeer(peer), ...notes, peakMemory(logits.length / 64)],
  } satisfies BenchResult;
}

function aboutPeer(peer: Peer | undefined): string[] {
  if (peer === undefined) return ["PyTorch is skipped: no python3 here has torch and numpy (set MOGE_PYTHON)."];
  const { torch, numpy, python, blas } = peer.about as Record<string, string>;
  return [
    `PyTorch ${torch}, NumPy ${numpy}, Python ${python}, BLAS ${blas}; its fastest formulation, in chunks of 8,192 tokens.`,
  ];
}

function open({ shape, settings: of }: Case, tokens: number, threads: number): Promise<BatchRouter> {
  const deviceOf = placements.contiguous.place(shape.experts, DEVICES);
  return openBatchRouter({ shape, settings: of, tokens, batch: BATCH, deviceOf }, threads);
}

/** Holds experts, weights and loads against the peer's. @throws Error where they differ by more than rounding */
async function checked({ name, title }: Case, ours: RoutedTokens, peer: Peer, path: string): Promise<string> {
  await peer.ask({ case: name, write: path });
  const bytes = readFileSync(path);
  rmSync(path);
  const { assignment, deviceLoad } = ours;
  const { tokens, slots, experts, weights } = assignment;
  const words = (start: number, count: number) => new Int32Array(bytes.buffer, bytes.byteOffset + 4 * start, count);
  const theirs = words(0, experts.length);
  const theirLoads = words(experts.length, deviceLoad.length);
  const at = bytes.byteOffset + 4 * (experts.length + deviceLoad.length);
  const theirWeights = new Float32Array(bytes.buffer, at, weights.length);
  let differing = 0;
  let worst = 0;
  const touched = new Set<number>();
  for (let t = 0; t < tokens; t++) {
    let same = true;
    for (let j = t * slots; j < (t + 1) * slots; j++) {
      same &&= experts[j] === theirs[j];
      worst = Math.max(worst, Math.abs(weights[j]! / theirWeights[j]! - 1));
    }
    if (same) continue;
    differing++;
    touched.add(Math.floor(t / BATCH));
  }
  const wrongLoads = deviceLoad.findIndex((load, i) => load !== theirLoads[i] && !touched.has(Math.floor(i / DEVICES)));
  if (differing > tokens / 1e4 || worst > 1e-4 || wrongLoads !== -1) {
    throw new Error(
      `${name}: not what PyTorch gives: ${differing} tokens, weights off by ${worst}, load ${wrongLoads}`,
    );
  }
  const rest = differing === 0 ? "" : `, ${differing} in another order where its scores are equal`;
  return `${title}: same experts as PyTorch${rest}; weights within ${worst.toExponential(1)}; same device loads.`;
}

/** In a process of its own, which says by how much its memory grew. */
function peakMemory(tokens: number): string {
  const script = fileURLToPath(new URL("./routing-memory.ts", import.meta.url));
  const node = [...process.execArgv.filter((argument) => !argument.startsWith("--eval")), script, String(tokens)];
  const { grown, arrays } = JSON.parse(execFileSync(process.execPath, node, { encoding: "utf8" })) as {
    grown: number;
    arrays: number;
  };
  const share = (grown / arrays).toFixed(2);
  return `Peak memory of routing ${tokens} x 64: ${Math.round(grown / 1e6)} MB, ${share} of inputs and outputs (wanted: 1.3).`;
}
