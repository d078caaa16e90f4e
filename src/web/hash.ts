/**
 * The state of the page in the fragment of its address: what differs from the initial values, by name.
 *
 * A link may be old, or typed by hand. What in it does not hold is said in words and left out: the rest of the link
 * counts, and what was there before stays.
 */

import type { Knob, Value } from "./knobs/knob.ts";
import { type KnobName, type KnobValues, knobNamed, knobNames } from "./knobs/knobs.ts";
import type { Phrase } from "./phrase.ts";

/** @param named knobs that it names whatever their values are */
export function hashOf(values: KnobValues, named: readonly KnobName[] = []): string {
  const parameters = new URLSearchParams();
  for (const name of knobNames) {
    if (values[name] !== knobNamed(name).initial || named.includes(name)) parameters.set(name, String(values[name]));
  }
  return `#${parameters}`;
}

export interface ReadHash {
  readonly values: KnobValues;
  /** What was wrong with it. */
  readonly problems: readonly Phrase[];
}

/**
 * @param initial values of what the fragment does not name
 * @param before what counts where it names nonsense
 */
export function readHash(hash: string, initial: KnobValues, before: KnobValues): ReadHash {
  const problems: Phrase[] = [];
  const read: Partial<Record<KnobName, Value>> = {};
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (!Object.hasOwn(initial, name)) {
      problems.push(unknown(name));
      continue;
    }
    const knob = knobNamed(name as KnobName);
    const { value, problem } = readValue(name, knob, text);
    read[name as KnobName] = value ?? before[name as KnobName];
    if (problem !== undefined) problems.push(problem);
  }
  return { values: { ...initial, ...read } as KnobValues, problems };
}

function readValue(name: string, knob: Knob, text: string): { value?: Value; problem?: Phrase } {
  const value = parsed(knob, text);
  if (value === undefined || !knob.schema.safeParse(value).success) return { problem: refused(name, knob, text) };
  if (knob.kind !== "slider") return { value };
  const [least, most] = [knob.stops[0]!, knob.stops.at(-1)!];
  const clamped = Math.min(most, Math.max(least, value as number));
  return clamped === value ? { value } : { value: clamped, problem: beyond(name, text, clamped) };
}

/** A value of the knob's kind, or undefined. */
function parsed(knob: Knob, text: string): Value | undefined {
  switch (knob.kind) {
    case "slider": {
      const number = text.trim() === "" ? Number.NaN : Number(text);
      return Number.isFinite(number) ? number : undefined;
    }
    case "text":
      return text.length <= knob.longest ? text : undefined;
    case "menu":
      return text;
  }
}

/** Enough of a text from outside to recognise it. */
const quoted = (text: string): string => `“${text.length > 24 ? `${text.slice(0, 24)}…` : text}”`;

const unknown = (name: string): Phrase => ({
  en: `The link names ${quoted(name)}, which this page does not know; it was ignored.`,
  zh: `链接中的 ${quoted(name)} 本页不认识，已忽略。`,
});

function refused(name: string, knob: Knob, text: string): Phrase {
  const { en, zh } = expectation(knob);
  return {
    en: `The link says ${name} = ${quoted(text)}, but expected ${en}; what was there before stays.`,
    zh: `链接中 ${name} = ${quoted(text)}，但应为${zh}；保留原来的值。`,
  };
}

const beyond = (name: string, text: string, taken: number): Phrase => ({
  en: `The link says ${name} = ${quoted(text)}, more or less than this page shows; ${taken} was taken.`,
  zh: `链接中 ${name} = ${quoted(text)} 超出本页范围；已取 ${taken}。`,
});

function expectation(knob: Knob): Phrase {
  switch (knob.kind) {
    case "slider": {
      const range = `${knob.stops[0]} … ${knob.stops.at(-1)}`;
      return { en: `a number, ${range}, whole where sizes are meant`, zh: `数字 ${range}（表示大小时须为整数）` };
    }
    case "menu": {
      const names = Object.keys(knob.options);
      return { en: `one of ${names.join(", ")}`, zh: `以下之一：${names.join("、")}` };
    }
    case "text":
      return { en: `at most ${knob.longest} letters of the kind it takes`, zh: `至多 ${knob.longest} 个合适的字符` };
  }
}
