/** The page's worker: does what it is told, one order after the other. */
import { kernels } from "packaged:training";
import { DivergenceError } from "../../simulate.ts";
import { type Phrase, same } from "../phrase.ts";
import type { Answers, Failure, Order } from "./protocol.ts";
import { Trainer } from "./trainer.ts";

let trainer: Trainer | undefined;

/** @throws DataError, ModelTooLargeError, DivergenceError */
function obey(order: Order): Answers[keyof Answers] {
  if (order.order === "open") {
    trainer = new Trainer(order.config, order.texts, kernels);
    return {};
  }
  if (trainer === undefined) throw new Error("nothing is open");
  switch (order.order) {
    case "step":
      return { step: trainer.step() };
    case "look":
      return { shares: trainer.look() };
    case "route":
      return { layers: trainer.route(order.bytes) };
  }
}

function failureOf(error: unknown): Phrase {
  const { message } = error as Error;
  if (!(error instanceof DivergenceError)) return same(message);
  return { en: message, zh: `第 ${error.step} 步：${error.where} 中首次出现非有限的数` };
}

/** Listens, where this script runs as a worker. */
export function work(): void {
  addEventListener("message", ({ data }: MessageEvent<Order>) => {
    try {
      postMessage(obey(data));
    } catch (error) {
      postMessage({ failure: failureOf(error) } satisfies Failure);
    }
  });
}
