/** A peer in Python: one process that answers a line of JSON with a line of JSON, so that it is loaded once. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Debian's own Python first among those that a person may have: its packages are what the peers need. */
const pythons = [process.env["MOGE_PYTHON"], "python3", "/usr/bin/python3"].filter((path) => path !== undefined);

export class Peer {
  /** What the peer says of itself when it has started. */
  readonly about: Readonly<Record<string, unknown>>;
  private readonly process: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  private constructor(process: ChildProcess, lines: AsyncIterator<string>, about: Readonly<Record<string, unknown>>) {
    this.process = process;
    this.lines = lines;
    this.about = about;
  }

  /** @param script in peers/ @returns undefined, aloud, where no Python here has what the script imports */
  static async open(script: string, ...args: string[]): Promise<Peer | undefined> {
    const path = fileURLToPath(new URL(`./peers/${script}`, import.meta.url));
    for (const python of pythons) {
      const process = spawn(python, [path, ...args], { stdio: ["pipe", "pipe", "ignore"] });
      const failed = new Promise<undefined>((resolve) => process.once("error", () => resolve(undefined)));
      const lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
      const first = await Promise.race([lines.next(), failed]);
      if (first?.done === false) return new Peer(process, lines, JSON.parse(first.value) as Record<string, unknown>);
    }
    return undefined;
  }

  async ask<Answer>(request: Readonly<Record<string, unknown>>): Promise<Answer> {
    this.process.stdin!.write(`${JSON.stringify(request)}\n`);
    const { done, value } = await this.lines.next();
    if (done) throw new Error("the peer has died");
    return JSON.parse(value) as Answer;
  }

  close(): void {
    this.process.stdin!.end();
  }
}
