/**
 * Where the runs of a sweep are computed. An executor gets ids and sees to it that the command of each, which does
 * nothing if the result is there, is carried out somewhere. What came of it is read off the results, not asked of it.
 */

export interface Task {
  readonly id: string;
  /** Main memory that it needs, about. */
  readonly bytes: number;
}

export type TaskState = "waiting" | "running" | "ended";

export interface Executor {
  /** Hands the tasks over. @throws ExecutorError */
  submit(tasks: readonly Task[]): Promise<void>;
  /** Of the tasks that were handed over. */
  status(): Promise<ReadonlyMap<string, TaskState>>;
  /** Ends what runs, after a checkpoint, and drops what waits. */
  cancel(): Promise<void>;
}

/** The executor cannot work here. The message is one line with the next step. */
export class ExecutorError extends Error {
  override readonly name = "ExecutorError";
}
