/** A child process of the local executor: carries out the runs that it is sent, one after the other. */
import type { WorkerReply, WorkerRequest } from "../host/executors/local.ts";
import { carryOut } from "./planned-run.ts";
import { readPlan } from "./sweep-plan.ts";

/** Arguments: the folder of the sweep, and what to write as JSON. */
const [directory = "", options = "{}"] = process.argv.slice(2);
const { formats, force } = JSON.parse(options) as {
  formats: { parquet: boolean; tensorboard: boolean };
  force: boolean;
};

const PROGRESS_MILLISECONDS = 250;

const plan = readPlan(directory);
const runs = new Map(plan.runs.map((run) => [run.id, run]));
const controller = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGUSR2"] as const) process.on(signal, () => controller.abort());
// The parent has gone, perhaps by SIGKILL: whatever runs is saved, so that the next sweep goes on from there.
process.on("disconnect", () => {
  controller.abort();
  if (!busy) process.exit(0);
});

let busy = false;

process.on("message", ({ id, threads }: WorkerRequest) => {
  busy = true;
  let last = 0;
  const planned = runs.get(id)!;
  const observer = {
    notice: (text: string) => reply({ kind: "notice", id, text }),
    step(_: string, { step }: { readonly step: number }) {
      if (Date.now() - last < PROGRESS_MILLISECONDS) return;
      last = Date.now();
      reply({ kind: "progress", id, step });
    },
  };
  void carryOut({ directory, plan, planned }, { formats, threads, force }, observer, controller.signal).then(
    (result) => {
      busy = false;
      reply({ ...result, id });
      if (!process.connected) process.exit(0);
    },
  );
});

function reply(message: WorkerReply): void {
  if (process.connected) process.send!(message);
}
