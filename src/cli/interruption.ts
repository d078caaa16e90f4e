/** Signals that ask a command to stop where it can go on later. */
import { exitCodes } from "./failure.ts";

export interface Interruption {
  readonly signal: AbortSignal;
  exitCode(): number;
}

/**
 * SIGINT, SIGTERM or SIGUSR2 (which schedulers send before the time is up; SIGUSR1 belongs to Node's debugger) aborts
 * the signal. A second SIGINT ends the process; a second SIGTERM or SIGUSR2 changes nothing, for schedulers send it to
 * every process of a task, and its shell passes it on as well.
 * @param said to the user
 */
export function listenForSignals(said: string): Interruption {
  const controller = new AbortController();
  let code: number = exitCodes.interrupted;
  const stopWith = (exitCode: number) => () => {
    if (controller.signal.aborted) return;
    code = exitCode;
    controller.abort();
    process.stderr.write(`${said}\n`);
  };
  process.once("SIGINT", stopWith(exitCodes.interrupted));
  process.on("SIGTERM", stopWith(exitCodes.requeue));
  process.on("SIGUSR2", stopWith(exitCodes.requeue));
  return { signal: controller.signal, exitCode: () => code };
}
