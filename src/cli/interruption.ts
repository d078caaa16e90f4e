/** Signals that ask a command to stop where it can go on later. */
import { exitCodes } from "./failure.ts";

export interface Interruption {
  readonly signal: AbortSignal;
  exitCode(): number;
}

/**
 * The first SIGINT, SIGTERM or SIGUSR2 (which schedulers send before the time is up; SIGUSR1 belongs to Node's
 * debugger) aborts the signal; a second one ends the process.
 * @param said to the user
 */
export function listenForSignals(said: string): Interruption {
  const controller = new AbortController();
  let code: number = exitCodes.interrupted;
  const stopWith = (exitCode: number) => () => {
    code = exitCode;
    controller.abort();
    process.stderr.write(`${said}\n`);
  };
  process.once("SIGINT", stopWith(exitCodes.interrupted));
  process.once("SIGTERM", stopWith(exitCodes.requeue));
  process.once("SIGUSR2", stopWith(exitCodes.requeue));
  return { signal: controller.signal, exitCode: () => code };
}
