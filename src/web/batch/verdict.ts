/** What the comparison comes to, in a sentence: balance and its price in one breath. */
import type { Phrase } from "../phrase.ts";
import type { Side } from "./measures.tsx";
import type { RoutedBatch } from "./routed-batch.ts";

/** @param sides one or two */
export function verdict([first, second]: readonly Side[]): Phrase {
  if (first === undefined) return { en: "", zh: "" };
  if (second === undefined) return alone(first);
  if (!("batch" in first.outcome) || !("batch" in second.outcome)) {
    return {
      en: "One of the routers cannot work with these sizes; the other is shown.",
      zh: "其中一个路由器不能在这些大小下工作；只显示另一个。",
    };
  }
  const [a, b] = [first.outcome.batch, second.outcome.batch];
  const names = { en: [first.title.en, second.title.en], zh: [first.title.zh, second.title.zh] };
  return {
    en: `${waits(a, names.en[0]!)}; ${waits(b, names.en[1]!)}. ${faster(a, b, names.en)}`,
    zh: `${waitsChinese(a, names.zh[0]!)}；${waitsChinese(b, names.zh[1]!)}。${fasterChinese(a, b, names.zh)}`,
  };
}

function alone({ outcome, title }: Side): Phrase {
  if (!("batch" in outcome)) return { en: "", zh: "" };
  return { en: `${waits(outcome.batch, title.en)}.`, zh: `${waitsChinese(outcome.batch, title.zh)}。` };
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** Waiting and transfers as shares of the step. */
function shares({ time }: RoutedBatch): { wait: string; send: string } {
  return {
    wait: percent(time.waitSeconds / time.stepSeconds),
    send: percent(time.communicationSeconds / time.stepSeconds),
  };
}

function waits(batch: RoutedBatch, name: string): string {
  const { wait, send } = shares(batch);
  return `${name} spends ${wait} of its step waiting for the hottest device and ${send} sending`;
}

function waitsChinese(batch: RoutedBatch, name: string): string {
  const { wait, send } = shares(batch);
  return `${name} 的一步中有 ${wait} 在等待最热的设备，${send} 在传输`;
}

/** Below half a percent the model of the hardware says nothing. */
const LEAST = 0.005;

function faster(a: RoutedBatch, b: RoutedBatch, [first, second]: readonly string[]): string {
  const gain = a.time.stepSeconds / b.time.stepSeconds - 1;
  if (Math.abs(gain) < LEAST) return "Their steps take equally long.";
  return gain > 0
    ? `${second} is ${percent(gain)} faster here.`
    : `${first} is ${percent(b.time.stepSeconds / a.time.stepSeconds - 1)} faster here.`;
}

function fasterChinese(a: RoutedBatch, b: RoutedBatch, [first, second]: readonly string[]): string {
  const gain = a.time.stepSeconds / b.time.stepSeconds - 1;
  if (Math.abs(gain) < LEAST) return "两者的一步同样长。";
  return gain > 0
    ? `这里 ${second} 快 ${percent(gain)}。`
    : `这里 ${first} 快 ${percent(b.time.stepSeconds / a.time.stepSeconds - 1)}。`;
}
