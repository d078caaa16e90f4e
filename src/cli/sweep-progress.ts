/** Progress of a sweep on stderr: a bar on a terminal, a line a run elsewhere. */
import { SingleBar } from "cli-progress";
import type { LocalObserver } from "../host/executors/local.ts";
import { labels } from "../run/labels.ts";
import type { SweepPlan } from "../run/sweep-plan.ts";
import { say } from "./format.ts";
import { canMove } from "./progress.ts";
import type { ProgressMode } from "./progress-modes.ts";

export interface SweepProgress extends LocalObserver {
  close(): void;
}

/** @param due runs that are to be done @param stepsOf a run, for the bar's fractions */
export function openSweepProgress(
  mode: ProgressMode,
  plan: SweepPlan,
  due: number,
  stepsOf: (id: string) => number,
): SweepProgress {
  const kind = mode === "auto" ? (canMove() ? "bar" : "text") : mode;
  const label = labels(plan);
  const bar = kind === "bar" && due > 0 ? openBar(due) : undefined;
  const shares = new Map<string, number>();
  let done = 0;
  let failed = 0;
  const show = () => {
    const under = [...shares.values()].reduce((sum, share) => sum + share, 0);
    bar?.update(done + failed + under, { done, failed, running: shares.size, due });
  };
  const tell = (text: string) => {
    if (kind === "none") return;
    bar?.stop();
    say(text);
    bar?.start(due, 0, { done, failed, running: shares.size, due });
    show();
  };
  return {
    started(id, attempt) {
      shares.set(id, 0);
      if (attempt > 1) tell(`${id} again, attempt ${attempt}`);
      show();
    },
    progress(id, step) {
      shares.set(id, step / stepsOf(id));
      show();
    },
    notice(id, text) {
      if (!/^(going on|drawing)|is not whole/.test(text)) tell(`${id} ${text}`);
    },
    done(id) {
      shares.delete(id);
      done++;
      if (kind === "text") say(`${done + failed}/${due} ${id} done: ${label(id)}`);
      show();
    },
    failed(id, { kind: why, message }, attempts, again) {
      shares.delete(id);
      if (!again) failed++;
      const tail = again ? "; it is tried again" : attempts > 1 ? ` (${attempts} attempts)` : "";
      tell(`${again ? "" : `${done + failed}/${due} `}${id} failed: ${label(id)}: ${why}, ${message}${tail}`);
    },
    close: () => bar?.stop(),
  };
}

function openBar(due: number): SingleBar {
  const bar = new SingleBar({
    format: "|{bar}| {done} done, {running} running, {failed} failed of {due}, {eta_formatted} left",
    barsize: 14,
    hideCursor: true,
    etaBuffer: 100,
    clearOnComplete: true,
    noTTYOutput: true,
    gracefulExit: false, // signals are the sweep's to answer
  });
  bar.start(due, 0, { done: 0, failed: 0, running: 0, due });
  return bar;
}
