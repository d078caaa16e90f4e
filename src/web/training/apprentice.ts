/** A trainer in a worker of its own, as the page sees it. */
import { Refused } from "../refused.ts";
import type { Answers, Failure, OrderName, Orders } from "./protocol.ts";

/**
 * The worker runs the page's own script, which knows by the lack of a document that it is one: the core is in the file
 * once.
 */
function startWorker(): Worker {
  const script = document.querySelector('script[type="module"]')!.textContent;
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const worker = new Worker(address, { type: "module" });
  worker.addEventListener("message", () => URL.revokeObjectURL(address), { once: true });
  return worker;
}

interface Waiting {
  resolve(answer: never): void;
  reject(error: Error): void;
}

export class Apprentice {
  private readonly worker = startWorker();
  private readonly waiting: Waiting[] = [];

  constructor() {
    this.worker.addEventListener("message", ({ data }: MessageEvent<object | Failure>) => {
      const { resolve, reject } = this.waiting.shift()!;
      if ("failure" in data) reject(new Refused(data.failure));
      else resolve(data as never);
    });
    this.worker.addEventListener("error", (event) => {
      const error = new Error(event.message || "the browser did not start the worker");
      for (const { reject } of this.waiting.splice(0)) reject(error);
    });
  }

  /** Answers come in the order of the questions. @throws Error with one line that says what went wrong */
  ask<Name extends OrderName>(order: Name, content: Orders[Name]): Promise<Answers[Name]> {
    return new Promise<Answers[Name]>((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.worker.postMessage({ order, ...content });
    });
  }

  /** Stops at once; what was asked is never answered. */
  dismiss(): void {
    this.worker.terminate();
  }
}
