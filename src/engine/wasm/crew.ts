/**
 * The crew: threads that run the same program, each over its part of the rows.
 *
 * They meet at barriers, take tasks from one counter, and sleep between commands. A waiting thread looks a few
 * thousand times and then sleeps in `Atomics.wait`, so an idle machine is idle. A crew of one never waits, which
 * is why it also works on memory that is not shared.
 */
import { CONTROL_ADDRESS } from "./arena.ts";
import type { Profile } from "./profile.ts";

/** Control words. */
const COMMAND = 0;
const COMMANDS_GIVEN = 1;
const ARRIVED = 2;
const BARRIERS_PASSED = 3;
const NEXT_TASK = 4;
const FAILED = 5;
const MESSAGE_LENGTH = 6;
const WORDS = 7;

/** Values of FAILED. */
const NO = 0;
const IN_WRITING = 1;
const YES = 2;

const LONGEST_MESSAGE = 1000;

const LOOKS_BEFORE_SLEEP = 4000;
const SLEEP_MILLISECONDS = 1000;
/** A barrier that is not passed for this long means that a thread has died without a word. */
const SLEEPS_BEFORE_GIVING_UP = 600;

export class Crew {
  /** This thread; 0 gives the commands. */
  readonly index: number;
  readonly size: number;
  private readonly control: Int32Array;
  private readonly message: Uint16Array;
  private readonly profile: Profile | undefined;
  private commandsSeen = 0;

  /** @param profile told how long this thread waits */
  constructor(buffer: ArrayBufferLike, index: number, size: number, profile?: Profile) {
    this.index = index;
    this.size = size;
    this.profile = profile;
    this.control = new Int32Array(buffer, CONTROL_ADDRESS, WORDS);
    this.message = new Uint16Array(buffer, CONTROL_ADDRESS + 4 * WORDS, LONGEST_MESSAGE);
  }

  /** Of `count` things in a row, the part of this thread: [first, last). */
  share(count: number): readonly [first: number, last: number] {
    return [Math.floor((count * this.index) / this.size), Math.floor((count * (this.index + 1)) / this.size)];
  }

  /** The next task that nobody has taken since the last barrier: 0, 1, 2, … */
  nextTask(): number {
    return Atomics.add(this.control, NEXT_TASK, 1);
  }

  /** Waits for all threads. Throws on all of them if one has failed. */
  barrier(): void {
    const { control } = this;
    const passed = Atomics.load(control, BARRIERS_PASSED);
    this.throwIfFailed();
    if (Atomics.add(control, ARRIVED, 1) === this.size - 1) {
      Atomics.store(control, ARRIVED, 0);
      Atomics.store(control, NEXT_TASK, 0);
      Atomics.add(control, BARRIERS_PASSED, 1);
      if (this.size > 1) Atomics.notify(control, BARRIERS_PASSED);
    } else if (this.profile) {
      this.profile.wait(() => this.waitWhile(BARRIERS_PASSED, passed, SLEEPS_BEFORE_GIVING_UP));
    } else {
      this.waitWhile(BARRIERS_PASSED, passed, SLEEPS_BEFORE_GIVING_UP);
    }
    this.throwIfFailed();
  }

  /** Thread 0: wakes the others to run a command, a number of the caller's. */
  command(command: number): void {
    if (this.size === 1) return;
    Atomics.store(this.control, COMMAND, command);
    Atomics.add(this.control, COMMANDS_GIVEN, 1);
    Atomics.notify(this.control, COMMANDS_GIVEN);
  }

  /** The other threads: sleeps until there is a command and returns it. */
  nextCommand(): number {
    this.waitWhile(COMMANDS_GIVEN, this.commandsSeen, Number.POSITIVE_INFINITY);
    this.commandsSeen++;
    return Atomics.load(this.control, COMMAND);
  }

  /** Tells all threads that this one cannot go on; the first to fail is heard. */
  fail(error: unknown): void {
    const { control } = this;
    if (Atomics.compareExchange(control, FAILED, NO, IN_WRITING) !== NO) return;
    const text = `thread ${this.index}: ${error instanceof Error ? error.message : String(error)}`.slice(
      0,
      LONGEST_MESSAGE,
    );
    for (let i = 0; i < text.length; i++) this.message[i] = text.charCodeAt(i);
    Atomics.store(control, MESSAGE_LENGTH, text.length);
    Atomics.store(control, FAILED, YES);
    Atomics.add(control, BARRIERS_PASSED, 1);
    if (this.size > 1) Atomics.notify(control, BARRIERS_PASSED);
  }

  private waitWhile(word: number, value: number, sleeps: number): void {
    const { control } = this;
    for (let look = 0; look < LOOKS_BEFORE_SLEEP; look++) if (Atomics.load(control, word) !== value) return;
    for (let sleep = 0; Atomics.load(control, word) === value; sleep++) {
      if (sleep >= sleeps) this.fail(new Error("another thread does not answer any more"));
      else Atomics.wait(control, word, value, SLEEP_MILLISECONDS);
    }
  }

  private throwIfFailed(): void {
    if (Atomics.load(this.control, FAILED) !== YES) return;
    const length = Atomics.load(this.control, MESSAGE_LENGTH);
    throw new Error(`the wasm engine has stopped: ${String.fromCharCode(...this.message.subarray(0, length))}`);
  }
}
