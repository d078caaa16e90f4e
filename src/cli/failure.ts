/** How commands end: exit codes, and errors as one clear line each. */

/** Exit codes of every command. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  /** wrong arguments, config or data */
  usage: 2,
  /** some runs of a sweep failed, or were not run */
  partlyFailed: 3,
  /** a check, claim or validation does not hold */
  checkFailed: 4,
  /** checkpointed on request of a scheduler and wants to be started again */
  requeue: 75,
  interrupted: 130,
} as const;

/** Errors that the user can mend, by name; everything else is a failed run. */
const usageErrors = new Set([
  "ConfigError",
  "DataError",
  "ExecutorError",
  "ModelTooLargeError",
  "QueryError",
  "RunRefusedError",
  "UsageError",
  "YError",
]);

/** Wrong use of a command. The message is one line that says what to do. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What the system says of places that belong to somebody else. */
const forbidden = new Set(["EACCES", "EPERM", "EROFS"]);

/** Prints an error, one line a problem, and ends the process with the fitting code. */
export function fail(error: unknown, debug: boolean): never {
  const { name, message, stack, code, path } = (
    error instanceof Error ? error : new Error(String(error))
  ) as NodeJS.ErrnoException;
  const isForbidden = code !== undefined && forbidden.has(code) && path !== undefined;
  const system = code?.startsWith("E") ? "; what is written stays, and the same command goes on from there" : "";
  const text = isForbidden
    ? `${path} is not ours to read or write (${code}); choose another place, or change its permissions`
    : `${message}${system}`;
  for (const line of text.split("\n")) process.stderr.write(`moge: ${line}\n`);
  if (debug) process.stderr.write(`${stack}\n`);
  process.exit(isForbidden || usageErrors.has(name) ? exitCodes.usage : exitCodes.failed);
}
