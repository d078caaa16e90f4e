/** The run cannot start, or go on, as asked. The message is one line that says what to do. */
export class RunRefusedError extends Error {
  override readonly name = "RunRefusedError";
  /** "held": another process is at it. */
  readonly reason: "held" | "other";
  constructor(message: string, reason: "held" | "other" = "other") {
    super(message);
    this.reason = reason;
  }
}
