/**
 * `npm run bench`: all benchmarks in one go, whole programs as `npm run build` made them. --only NAME takes some of
 * them (as often as you like), --quick makes them small, --json prints the tables for a program.
 *
 * tinybench is not used: it times a function many times over in one go, while here a peer in another process, threads and
 * whole programs take turns round by round, so that their ratio stands when the machine does not.
 */
import { existsSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { type Bench, type BenchResult, tableText } from "./bench.ts";

/** What is compiled with a browser's types stands where those are. */
const elsewhere: Readonly<Record<string, string>> = { page: "../browser/bench.ts" };
const fileOf = (name: string): URL => new URL(elsewhere[name] ?? `./${name}.ts`, import.meta.url);

/** In this order; a file each. */
const names = [
  "training",
  "routing",
  "monte-carlo",
  "growth",
  "cluster",
  "sweeps",
  "report",
  "page",
  "start-up",
].filter((name) => existsSync(fileOf(name)));

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const unknown = values.only.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`--only ${unknown[0]}: there is no such benchmark; there are ${names.join(", ")}\n`);
  process.exit(2);
}

const machine = {
  processor: cpus()[0]?.model.trim() ?? "unknown",
  cores: cpus().length,
  gigabytes: Math.round(totalmem() / 1e9),
  node: process.version,
  v8: process.versions.v8,
  platform: `${process.platform} ${process.arch}`,
};
const results: Record<string, BenchResult> = {};
const say = (text: string) => (values.json ? process.stderr : process.stdout).write(`${text}\n`);

say(`${machine.processor}, ${machine.cores} cores, ${machine.gigabytes} GB; Node ${machine.node}, ${machine.platform}`);
for (const name of names.filter((each) => values.only.length === 0 || values.only.includes(each))) {
  const { bench } = (await import(fileOf(name).href)) as { bench: Bench };
  say(`\n${name}: ${bench.title}`);
  const result = await bench.run({ quick: values.quick });
  results[name] = result;
  for (const table of result.tables) say(`\n${tableText(table)}`);
  for (const note of result.notes) say(`\n${wrapped(note)}`);
}
if (values.json) process.stdout.write(`${JSON.stringify({ machine, results }, null, 1)}\n`);

function wrapped(text: string): string {
  return text.replace(/(.{1,78})(?:\s+|$)/g, "$1\n").trimEnd();
}
