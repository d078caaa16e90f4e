/** A batch of tokens hits the devices: two routers on the same tokens, side by side. */
import { computed } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type ContenderName, contenderNamed } from "../batch/contenders.ts";
import { MeasureTable, type Side } from "../batch/measures.tsx";
import { Pictures } from "../batch/pictures.tsx";
import { routeBatch } from "../batch/routed-batch.ts";
import { verdict } from "../batch/verdict.ts";
import { type ControlGroup, Controls } from "../controls/controls.tsx";
import { say } from "../language.ts";
import { announce } from "../messages.ts";
import type { Phrase } from "../phrase.ts";
import type { Scene } from "../scene.ts";
import { values } from "../state.ts";

const words = {
  lead: {
    en: "The same tokens go through two routers. Watch who chooses whom, what each device gets to do, and what it costs.",
    zh: "同一批词元经过两个路由器。看看谁选择谁、每台设备分到多少工作，以及代价如何。",
  },
  router: { en: "Router", zh: "路由器" },
  batch: { en: "Batch", zh: "批次" },
  machine: { en: "Machine", zh: "机器" },
  cannot: { en: "This router cannot do that:", zh: "该路由器做不到：" },
} satisfies Record<string, Phrase>;

const groups: readonly ControlGroup[] = [
  { title: words.router, names: ["left", "right", "experts", "topK", "groups", "limit", "capacity", "balance"] },
  { title: words.batch, names: ["tokens", "skew", "seed"] },
  { title: words.machine, names: ["devices", "tokensPerDevice", "device", "topology"] },
];

const left = computed(() => routeBatch(values.value, values.value.left));
const right = computed(() => routeBatch(values.value, values.value.right));

/** A slider that moves says much; what it came to is said aloud when it rests. */
const REST_MILLISECONDS = 900;

function useSpokenVerdict(found: Phrase): void {
  useEffect(() => {
    const timer = setTimeout(() => announce(found), REST_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [found.en]);
}

function View() {
  const sides = [
    sideOf(values.value.left, "first", left.value),
    sideOf(values.value.right, "second", right.value),
  ] as const;
  const batches = sides.flatMap(({ outcome }) => ("batch" in outcome ? [outcome.batch] : []));
  const most = {
    load: Math.max(1, ...batches.flatMap(({ expertLoad }) => Array.from(expertLoad))),
    seconds: Math.max(1e-9, ...batches.map(({ time }) => time.stepSeconds)),
  };
  const shown = values.value.left === values.value.right ? sides.slice(0, 1) : sides; // nothing to compare
  const found = verdict(shown);
  useSpokenVerdict(found);
  return (
    <div class="with-controls">
      <Controls groups={groups} />
      <div>
        <p class="verdict">{say(found)}</p>
        <MeasureTable sides={shown} />
        <div class="side-by-side">
          {shown.map(({ title, series, outcome }, i) => (
            <section key={series} class="column" aria-label={say(title)}>
              <h2 class={series}>{say(title)}</h2>
              {"batch" in outcome ? (
                <Pictures batch={outcome.batch} series={series} side={i === 0 ? "left" : "right"} most={most} />
              ) : (
                <p class="cannot">
                  {say(words.cannot)} {say(outcome.refusal)}
                </p>
              )}
            </section>
          ))}
        </div>
      </div>
    </div>
  );
}

const sideOf = (name: ContenderName, series: string, outcome: Side["outcome"]): Side => ({
  title: contenderNamed(name).short,
  series,
  outcome,
});

export const batch: Scene = { name: "batch", lead: words.lead, View };
