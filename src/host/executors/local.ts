/**
 * Child processes on this machine, as many as cores, fewer where memory does not suffice. A process takes one task after
 * the other; one that dies takes only the task with it that it was at, and a new one takes its place.
 */
import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism, constants, totalmem } from "node:os";
import type { Executor, Task, TaskState } from "./executor.ts";

/** To a worker. */
export interface WorkerRequest {
  readonly id: string;
  readonly threads: number;
}

export interface TaskFailure {
  readonly kind: "failed" | "crashed" | "timeout" | "out-of-memory" | "disk";
  /** One line. */
  readonly message: string;
  /** Another attempt would end the same way. */
  readonly certain?: boolean;
  readonly stack?: string | undefined;
}

/** From a worker. `held`: another process is at that task. */
export type WorkerReply =
  | { readonly kind: "progress"; readonly id: string; readonly step: number }
  | { readonly kind: "notice"; readonly id: string; readonly text: string }
  | { readonly kind: "done" | "interrupted" | "held"; readonly id: string }
  | { readonly kind: "failed"; readonly id: string; readonly failure: TaskFailure };

export interface LocalObserver {
  started(id: string, attempt: number): void;
  progress(id: string, step: number): void;
  notice(id: string, text: string): void;
  done(id: string): void;
  /** @param again whether it is tried once more */
  failed(id: string, failure: TaskFailure, attempts: number, again: boolean): void;
}

export interface LocalOptions {
  /** Module that the child processes run, and its arguments. */
  readonly worker: URL;
  readonly arguments: readonly string[];
  /** Processes at a time; undefined: as many as cores. */
  readonly jobs?: number | undefined;
  /** Attempts after the first one. */
  readonly retries: number;
  readonly timeoutSeconds?: number | undefined;
  /** Stop at the first task that fails for good. */
  readonly failFast: boolean;
  readonly observer: LocalObserver;
}

interface Worker {
  readonly process: ChildProcess;
  entry: Entry | undefined;
  timer?: NodeJS.Timeout | undefined;
  timedOut: boolean;
}

interface Entry {
  readonly task: Task;
  /** Attempts begun. */
  attempts: number;
  state: TaskState;
  /** Not to be started before. */
  notBefore: number;
}

/** Between two looks at a task that another process is at. */
const HELD_DELAY_MILLISECONDS = 300;
/** For a checkpoint after SIGTERM. */
const GRACE_MILLISECONDS = 20_000;
/** Share of the memory that tasks may take. */
const MEMORY_SHARE = 0.8;

export class LocalExecutor implements Executor {
  readonly #options: LocalOptions;
  readonly #entries: Entry[] = [];
  readonly #workers = new Set<Worker>();
  #cancelled = false;
  #finish: () => void = () => undefined;
  #wake: NodeJS.Timeout | undefined;
  #threads = 1;

  constructor(options: LocalOptions) {
    this.#options = options;
  }

  submit(tasks: readonly Task[]): Promise<void> {
    this.#entries.push(...tasks.map((task) => ({ task, attempts: 0, state: "waiting" as const, notBefore: 0 })));
    this.#threads = Math.max(1, Math.floor(availableParallelism() / Math.min(this.#jobs(), Math.max(1, tasks.length))));
    return Promise.resolve();
  }

  /** Works until every task has ended. Nothing starts before it is called. */
  async work(): Promise<void> {
    await new Promise<void>((finish) => {
      this.#finish = finish;
      this.#startWhatFits();
    });
    clearTimeout(this.#wake);
    for (const { process } of this.#workers) if (process.connected) process.disconnect();
  }

  status(): Promise<ReadonlyMap<string, TaskState>> {
    return Promise.resolve(new Map(this.#entries.map(({ task, state }) => [task.id, state])));
  }

  cancel(): Promise<void> {
    this.#cancelled = true;
    for (const entry of this.#entries) if (entry.state === "waiting") entry.state = "ended";
    for (const worker of this.#workers) if (worker.entry) this.#terminate(worker);
    this.#startWhatFits();
    return Promise.resolve();
  }

  #jobs(): number {
    return this.#options.jobs ?? availableParallelism();
  }

  #startWhatFits(): void {
    clearTimeout(this.#wake);
    const running = this.#entries.filter(({ state }) => state === "running");
    let bytes = running.reduce((sum, { task }) => sum + task.bytes, 0);
    let free = this.#jobs() - running.length;
    const waiting = this.#entries.filter(({ state }) => state === "waiting");
    for (const entry of waiting) {
      if (free === 0) break;
      if (entry.notBefore > Date.now()) continue;
      if (bytes > 0 && bytes + entry.task.bytes > MEMORY_SHARE * availableMemory()) break;
      this.#start(entry);
      bytes += entry.task.bytes;
      free--;
    }
    const left = this.#entries.filter(({ state }) => state !== "ended");
    if (left.length === 0) this.#finish();
    else if (left.every(({ state }) => state === "waiting")) {
      this.#wake = setTimeout(() => this.#startWhatFits(), HELD_DELAY_MILLISECONDS);
    }
  }

  #start(entry: Entry): void {
    const worker =
      [...this.#workers].find((each) => each.entry === undefined && each.process.connected) ?? this.#hire();
    entry.state = "running";
    entry.attempts++;
    worker.entry = entry;
    this.#options.observer.started(entry.task.id, entry.attempts);
    const { timeoutSeconds } = this.#options;
    if (timeoutSeconds !== undefined) {
      worker.timer = setTimeout(() => {
        worker.timedOut = true;
        this.#terminate(worker);
      }, timeoutSeconds * 1000);
    }
    const request: WorkerRequest = { id: entry.task.id, threads: this.#threads };
    worker.process.send(request, (error) => {
      if (error) worker.process.kill("SIGKILL"); // it is about to go; its exit is what is answered
    });
  }

  #hire(): Worker {
    const worker: Worker = {
      process: fork(this.#options.worker, [...this.#options.arguments], { stdio: ["ignore", "ignore", "pipe", "ipc"] }),
      entry: undefined,
      timedOut: false,
    };
    let said = "";
    worker.process.stderr?.on("data", (text: Buffer) => {
      said = (said + text.toString()).slice(-2000);
    });
    worker.process.on("message", (reply: WorkerReply) => this.#hear(worker, reply));
    worker.process.on("error", (error) => this.#lose(worker, { kind: "crashed", message: error.message }));
    worker.process.on("exit", (code, signal) => this.#lose(worker, crash(code, signal, said)));
    this.#workers.add(worker);
    return worker;
  }

  /** SIGTERM asks for a checkpoint; who does not listen is killed after a while. */
  #terminate({ process }: Worker): void {
    process.kill("SIGTERM");
    setTimeout(() => process.kill("SIGKILL"), GRACE_MILLISECONDS).unref();
  }

  #hear(worker: Worker, reply: WorkerReply): void {
    const { entry } = worker;
    if (entry === undefined || reply.id !== entry.task.id) return;
    const { observer } = this.#options;
    if (reply.kind === "progress") observer.progress(reply.id, reply.step);
    else if (reply.kind === "notice") observer.notice(reply.id, reply.text);
    else this.#settle(worker, entry, reply);
  }

  #settle(worker: Worker, entry: Entry, reply: Exclude<WorkerReply, { kind: "progress" | "notice" }>): void {
    const { observer, timeoutSeconds } = this.#options;
    const { timedOut } = worker;
    if (timedOut || reply.kind === "interrupted") this.#retire(worker); // it stops at whatever comes next
    this.#release(worker);
    if (reply.kind === "done") {
      entry.state = "ended";
      observer.done(reply.id);
    } else if (reply.kind === "held" || (reply.kind === "interrupted" && !timedOut)) {
      // Another process is at it, or somebody else than we stopped it: perhaps the terminal, and we hear of it next.
      entry.attempts--;
      entry.state = this.#cancelled ? "ended" : "waiting";
      entry.notBefore = Date.now() + HELD_DELAY_MILLISECONDS;
    } else {
      const late: TaskFailure = { kind: "timeout", message: `took longer than ${timeoutSeconds} s` };
      this.#fail(entry, timedOut ? late : reply.kind === "failed" ? reply.failure : late);
    }
    this.#startWhatFits();
  }

  #lose(worker: Worker, failure: TaskFailure): void {
    this.#workers.delete(worker);
    const { entry, timedOut } = worker;
    this.#release(worker);
    if (entry === undefined) return;
    if (this.#cancelled) entry.state = "ended";
    else if (timedOut)
      this.#fail(entry, { kind: "timeout", message: `took longer than ${this.#options.timeoutSeconds} s` });
    else this.#fail(entry, failure);
    this.#startWhatFits();
  }

  #retire(worker: Worker): void {
    this.#workers.delete(worker);
    if (worker.process.connected) worker.process.disconnect();
  }

  #release(worker: Worker): void {
    clearTimeout(worker.timer);
    worker.entry = undefined;
    worker.timedOut = false;
  }

  #fail(entry: Entry, failure: TaskFailure): void {
    const again = entry.attempts <= this.#options.retries && failure.certain !== true && !this.#cancelled;
    entry.state = again ? "waiting" : "ended";
    this.#options.observer.failed(entry.task.id, failure, entry.attempts, again);
    // On a full disk the others would fail too, and each would be tried again for nothing.
    if (!again && (this.#options.failFast || failure.kind === "disk")) void this.cancel();
  }
}

/** Of this machine, or of the container around this process. */
function availableMemory(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}

function crash(code: number | null, signal: NodeJS.Signals | null, said: string): TaskFailure {
  const outOfMemory = /heap out of memory|Array buffer allocation failed|could not allocate memory/i.test(said);
  const last = said.trim().split("\n").at(-1) ?? "";
  if (outOfMemory)
    return { kind: "out-of-memory", message: "the process ran out of memory; try --jobs 1 or a smaller model" };
  const hint = signal === "SIGKILL" ? " (by hand, or by the system for want of memory)" : "";
  const how =
    signal === null ? `ended with code ${code}` : `was killed by ${signal}, number ${constants.signals[signal]}${hint}`;
  return { kind: "crashed", message: `its process ${how}${last === "" ? "" : `: ${last}`}` };
}
