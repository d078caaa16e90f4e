/** One of several processes that want the same runs. Arguments: the folder of results, and how many runs there are. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { claimRunDirectory, completeRunDirectory } from "../../src/run/directory.ts";
import { RunRefusedError } from "../../src/run/refusal.ts";

const [results = "", count = "0"] = process.argv.slice(2);

/** @returns whether it was this process that completed the run, or why it could not */
function contend(name: string): boolean | string {
  for (;;) {
    try {
      const directory = claimRunDirectory(results, name, "config", "nothing");
      writeFileSync(join(directory.partial, "steps.csv"), `${process.pid}\n`);
      completeRunDirectory(directory, "test");
      return true;
    } catch (error) {
      if (error instanceof RunRefusedError && error.reason === "held") continue;
      const { message } = error as Error;
      return existsSync(join(results, name)) && /already holds a result/.test(message) ? false : message;
    }
  }
}

process.stdout.write("ready\n");
while (!existsSync(join(results, "go"))) await delay(1);
const outcomes = Array.from({ length: Number(count) }, (_, i) => contend(`run-${i}`));
process.stdout.write(`${JSON.stringify(outcomes)}\n`);
