/**
 * The training that is going on: two models, a worker each, led step by step so that they stay abreast. What has happened
 * is in signals; scenes only look.
 */
import { batch, signal } from "@preact/signals";
import type { Step } from "../../simulate.ts";
import type { Phrase } from "../phrase.ts";
import { phraseOf } from "../refused.ts";
import { isCalm } from "../screen.ts";
import { Apprentice } from "./apprentice.ts";
import { type Arm, armsOf, type Settings, textsOf } from "./settings.ts";
import type { RoutedBytes } from "./trainer.ts";

/** A model as far as it has come. */
export interface Progress {
  readonly arm: Arm;
  readonly steps: readonly Step[];
  /** [MoE layers][domains, N] of the last look at held-out text; absent before the first */
  readonly shares?: readonly Float64Array[] | undefined;
  /** [MoE layers] of the sentence */
  readonly routed?: readonly RoutedBytes[] | undefined;
}

export type Activity = "fresh" | "running" | "paused" | "done" | "failed";

export interface Session {
  readonly settings: Settings;
  readonly models: readonly Progress[];
  /** Names of the domains. */
  readonly domains: readonly string[];
  /** What the sentence on `routed` was. */
  readonly sentence: Uint8Array;
}

export const activity = signal<Activity>("fresh");
export const session = signal<Session | undefined>(undefined);
/** Steps of both models together that the last second gave; 0 when nothing runs. */
export const stepsPerSecond = signal(0);

/** Milliseconds between two changes of the pictures for readers who want little to move. */
const CALM_PAUSE = 1000;

/** Milliseconds between two looks at where the sentence goes. */
const ROUTING_PAUSE = 250;

let apprentices: readonly Apprentice[] = [];
/** Counts openings: what comes back from an older one is not wanted any more. */
let era = 0;
/** Counts calls of `run`, of which the last counts. */
let loops = 0;
let lastStep: Promise<void> = Promise.resolve();
/** Steps of both models, each with its look at held-out text if there was one, that are done but not shown yet. */
let unseen: { readonly steps: readonly Step[]; readonly shares: readonly Progress["shares"][] }[] = [];
let lastShown = 0;
let wanted: Uint8Array = new Uint8Array();
let lastRouted = 0;

const isRunning = (): boolean => activity.value === "running";

export const stepsDone = (): number => session.value?.models[0]?.steps.length ?? 0;

/** Begins anew; nothing is trained yet. @throws Error when the settings contradict themselves: what was there stays */
export function reset(settings: Settings): void {
  const arms = armsOf(settings);
  const texts = textsOf(settings);
  end();
  const own = era;
  apprentices = arms.map(() => new Apprentice());
  batch(() => {
    const models = arms.map((arm) => ({ arm, steps: [] }));
    session.value = { settings, models, domains: texts.map(({ name }) => name), sentence: new Uint8Array() };
    activity.value = "fresh";
  });
  const opened = apprentices.map((each, i) => each.ask("open", { config: arms[i]!.config, texts }));
  Promise.all(opened)
    .then(() => route(own))
    .catch((error: Error) => fail(error, own));
}

/** Lets the models go. */
export function end(): void {
  era++;
  loops++;
  lastStep = Promise.resolve(); // what was asked of the dismissed is never answered
  for (const each of apprentices) each.dismiss();
  unseen = [];
  apprentices = [];
}

/** Where a sentence goes now, and after each step to come. */
export function follow(sentence: Uint8Array): void {
  wanted = sentence;
  const own = era;
  if (session.value !== undefined && activity.value !== "running") route(own).catch((error: Error) => fail(error, own));
}

/** @param pause milliseconds that a step takes at least, asked before each */
export async function run(pause: () => number): Promise<void> {
  if (session.value === undefined || activity.value === "running" || activity.value === "done") return;
  activity.value = "running";
  const own = ++loops;
  const rate = new Rate();
  while (own === loops && isRunning()) {
    const began = performance.now();
    await oneStep();
    rate.count();
    const left = pause() - (performance.now() - began);
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
  }
  if (own === loops) stepsPerSecond.value = 0;
}

export function pause(): void {
  if (activity.value !== "running") return;
  activity.value = "paused";
  show();
}

/** A single step of both models. */
export async function step(): Promise<void> {
  if (activity.value !== "fresh" && activity.value !== "paused") return;
  activity.value = "paused";
  await oneStep();
}

/** The steps of all callers one after the other: both models finish one before they begin the next. */
function oneStep(): Promise<void> {
  const own = era;
  lastStep = lastStep.then(() => (own === era ? takeStep(own) : undefined));
  return lastStep;
}

async function takeStep(own: number): Promise<void> {
  try {
    const taken = await Promise.all(apprentices.map((each) => each.ask("step", {})));
    if (own !== era) return;
    const steps = taken.flatMap(({ step }) => step ?? []);
    if (steps.length < taken.length) return finish();
    const looked = steps[0]!.validation && (await Promise.all(apprentices.map((each) => each.ask("look", {}))));
    if (own !== era) return;
    unseen.push({ steps, shares: looked?.map(({ shares }) => shares) ?? [] });
    const isLast = steps[0]!.step === session.value!.settings.steps;
    const rests = isLast || !isRunning();
    if (rests || performance.now() - lastShown >= (isCalm.value ? CALM_PAUSE : 0)) {
      batch(() => {
        show();
        if (isLast) finish();
      });
      if (rests || performance.now() - lastRouted > ROUTING_PAUSE) await route(own);
    }
  } catch (error) {
    fail(error as Error, own);
  }
}

/** Shows what has been done. */
function show(): void {
  if (session.value === undefined || unseen.length === 0) return;
  const { models, ...rest } = session.value;
  const news = unseen;
  unseen = [];
  lastShown = performance.now();
  session.value = {
    ...rest,
    models: models.map((model, i) => ({
      ...model,
      steps: [...model.steps, ...news.map(({ steps }) => steps[i]!)],
      shares: news.findLast(({ shares }) => shares[i] !== undefined)?.shares[i] ?? model.shares,
    })),
  };
}

async function route(own: number): Promise<void> {
  const bytes = wanted;
  lastRouted = performance.now();
  const answers = await Promise.all(apprentices.map((each) => each.ask("route", { bytes })));
  if (own !== era || session.value === undefined) return;
  const { models, ...rest } = session.value;
  session.value = {
    ...rest,
    sentence: bytes,
    models: models.map((model, i) => ({ ...model, routed: answers[i]!.layers })),
  };
}

function finish(): void {
  activity.value = "done";
}

/** In one line. */
export const failure = signal<Phrase | undefined>(undefined);

function fail(error: Error, own: number): void {
  if (own !== era) return;
  show();
  failure.value = phraseOf(error);
  activity.value = "failed";
}

/** Steps a second over the last second. */
class Rate {
  private times: number[] = [performance.now()];

  count(): void {
    const now = performance.now();
    this.times = [...this.times.filter((time) => now - time < 1500), now];
    const span = now - this.times[0]!;
    if (span > 300 && unseen.length === 0) stepsPerSecond.value = (1000 * (this.times.length - 1)) / span;
  }
}
