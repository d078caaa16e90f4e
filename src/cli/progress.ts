/** Progress of a run: a bar on a terminal, a line now and then elsewhere, or nothing. All of it goes to stderr. */
import { SingleBar } from "cli-progress";
import type { RunObserver } from "../run/runner.ts";
import type { Step } from "../simulate.ts";
import { say } from "./format.ts";
import type { ProgressMode } from "./progress-modes.ts";

export interface Progress extends RunObserver {
  close(): void;
}

/** Whether what is said to a person can be drawn over. */
export const canMove = (): boolean => process.stderr.isTTY && process.env["TERM"] !== "dumb" && !process.env["CI"];

/** @param total steps of all variants */
export function openProgress(mode: ProgressMode, total: number): Progress {
  const kind = mode === "auto" ? (canMove() ? "bar" : "text") : mode;
  if (kind === "none") return { notice: say, variant() {}, step() {}, close() {} };
  return kind === "bar" ? barProgress(total) : textProgress(total);
}

const describe = ({ trainingLossNatsPerByte, validation }: Step) =>
  validation
    ? `validation ${validation.lossNatsPerByte.toFixed(3)} nats/byte`
    : `training ${trainingLossNatsPerByte.toFixed(3)} nats/byte`;

/** Says which engine computes, when it is another than before. */
function engineSayer(): (engine: string) => void {
  let before: string | undefined;
  return (engine) => {
    if (engine !== before) say(`engine: ${engine}`);
    before = engine;
  };
}

function barProgress(total: number): Progress {
  const bar = new SingleBar({
    format: "{variant} |{bar}| {value}/{total}, {loss}, {eta_formatted} left",
    barsize: 12,
    hideCursor: true,
    etaBuffer: 50,
    clearOnComplete: true,
    noTTYOutput: true,
    gracefulExit: false, // signals are the run's to answer
  });
  const sayEngine = engineSayer();
  let loss = "training";
  const stop = () => {
    if (bar.isActive) bar.stop(); // a second time it would draw itself again
  };
  return {
    notice(text) {
      stop(); // or the text would stand on its line
      say(text);
    },
    variant(variant, engine, stepsDone) {
      stop();
      sayEngine(engine);
      bar.start(total, stepsDone, { variant, loss });
    },
    step(variant, step) {
      // The validation loss stays in sight until the next one.
      if (step.validation || !loss.startsWith("validation")) loss = describe(step);
      bar.increment(1, { variant, loss });
    },
    close: stop,
  };
}

const LINE_INTERVAL_MILLISECONDS = 5000;

function textProgress(total: number): Progress {
  let done = 0;
  let last = 0;
  const sayEngine = engineSayer();
  return {
    notice: say,
    variant(name, engine, stepsDone) {
      sayEngine(engine);
      done = stepsDone;
      last = Date.now();
      say(`${name}: starting, ${done} of ${total} steps done`);
    },
    step(variant, step) {
      done++;
      if (Date.now() - last < LINE_INTERVAL_MILLISECONDS) return;
      last = Date.now();
      say(`${variant}: step ${step.step}, ${done} of ${total}, ${describe(step)}`);
    },
    close() {},
  };
}
