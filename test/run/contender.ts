/** One of several processes that want the same runs. Arguments: the folder of results, and how many runs there are. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { claimRunDirectory, completeRunDirectory, isComplete } from "../../src/run/directory.ts";
import { RunRefusedError } from "../../src/run/refusal.ts";

const [results = "", count = "0"] = process.argv.slice(2);

/** As a run does it. @returns whether it was this process that completed it, or what was wrong that should not be */
function contend(name: string): boolean | string {
  for (;;) {
    try {
      const directory = claimRunDirectory(results, name, "config", "nothing");
      if (!isComplete(directory)) writeFileSync(join(directory.partial, "steps.csv"), "step\n");
      completeRunDirectory(directory, "test");
      return true;
    } catch (error) {
      const { message } = error as Error;
      const isDone = existsSync(join(results, name));
      if (!(error instanceof RunRefusedError)) return isDone ? false : message;
      if (error.reason !== "held") return isDone && /already holds a result/.test(message) ? false : message;
    }
  }
}

process.stdout.write("ready\n");
while (!existsSync(join(results, "go"))) await delay(1);
const outcomes = Array.from({ length: Number(count) }, (_, i) => contend(`run-${i}`));
process.stdout.write(`${JSON.stringify(outcomes)}\n`);
