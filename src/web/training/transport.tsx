/** Run, pause, step, begin anew; how far it is; and what can be taken home. */

import { saveFile } from "../charts/save.ts";
import { Control } from "../controls/controls.tsx";
import { say } from "../language.ts";
import { announce } from "../messages.ts";
import type { Phrase } from "../phrase.ts";
import { values } from "../state.ts";
import { modelTitle } from "./models.ts";
import { resultFiles } from "./result-files.ts";
import { activity, failure, pause, reset, run, session, step, stepsDone, stepsPerSecond } from "./session.ts";
import { isSame, type Settings, yamlOf } from "./settings.ts";

const words = {
  run: { en: "Train", zh: "训练" },
  pause: { en: "Pause", zh: "暂停" },
  step: { en: "One step", zh: "单步" },
  reset: { en: "Begin anew", zh: "重新开始" },
  changed: { en: "Settings have changed; they count when you begin anew.", zh: "设置已更改；重新开始后生效。" },
  of: { en: "of", zh: "／" },
  stepNumber: { en: "step", zh: "步" },
  rate: { en: "steps a second, each of both models", zh: "步／秒（两个模型各一步）" },
  done: { en: "done", zh: "完成" },
  home: { en: "Take it home:", zh: "带走：" },
  yaml: { en: "config as YAML", zh: "YAML 配置" },
  failed: { en: "Training stopped:", zh: "训练中止：" },
} satisfies Record<string, Phrase>;

/** Milliseconds that a step takes at least, by `speed`. */
const pauses = { full: 0, four: 250, one: 1000 } as const;

/** @param settings what the knobs say now, which may differ from what is being trained */
export function Transport({ settings }: { readonly settings: Settings }) {
  const current = session.value;
  if (current === undefined) return null;
  const state = activity.value;
  const done = stepsDone();
  const total = current.settings.steps;
  const canStep = state === "fresh" || state === "paused";
  const isChanged = !isSame(settings, current.settings);
  return (
    <div class="transport">
      <div class="buttons">
        {state === "running" ? (
          <button type="button" class="primary" onClick={pause}>
            {say(words.pause)}
          </button>
        ) : (
          <button type="button" class="primary" disabled={!canStep} onClick={() => void start()}>
            {say(words.run)}
          </button>
        )}
        <button type="button" disabled={!canStep} onClick={() => void step().then(tellWhere)}>
          {say(words.step)}
        </button>
        <button type="button" class={isChanged ? "primary" : undefined} onClick={() => begin(settings)}>
          {say(words.reset)}
        </button>
        <Control name="speed" />
      </div>
      <progress max={total} value={done} aria-label={say(words.stepNumber)} />
      <p class="note">
        {`${say(words.stepNumber)} ${done} ${say(words.of)} ${total}`}
        {state === "running" && stepsPerSecond.value > 0
          ? ` · ${stepsPerSecond.value.toFixed(1)} ${say(words.rate)}`
          : ""}
        {state === "done" ? ` · ${say(words.done)}` : ""}
      </p>
      {isChanged ? <p class="hint">{say(words.changed)}</p> : null}
      {state === "failed" ? <p class="cannot">{`${say(words.failed)} ${say(failure.value!)}`}</p> : null}
      <p class="home">
        {say(words.home)}
        <button type="button" class="link" onClick={() => save("page.yaml", yamlOf(current.settings))}>
          {say(words.yaml)}
        </button>
        {Object.keys(resultFiles([])).map((name) => (
          <button
            type="button"
            class="link"
            key={name}
            disabled={done === 0}
            onClick={() => save(name, resultFiles(session.value!.models)[name]!)}
          >
            {name}
          </button>
        ))}
      </p>
    </div>
  );
}

const save = (name: string, text: string) => saveFile(name, new Blob([text], { type: "text/plain" }));

async function start(): Promise<void> {
  announce({ en: "Training", zh: "开始训练" });
  await run(() => pauses[values.value.speed]);
  tellWhere();
}

function begin(settings: Settings): void {
  reset(settings);
  announce({ en: "Step 0", zh: "第 0 步" });
}

/** For those who do not see the pictures. */
function tellWhere(): void {
  const models = session.value?.models ?? [];
  const losses = models.map(
    ({ arm, steps }) => `${modelTitle(arm.name)} ${steps.at(-1)?.trainingLossNatsPerByte.toFixed(3) ?? "—"}`,
  );
  announce({
    en: `Step ${stepsDone()}. Loss in nats per byte: ${losses.join(", ")}.`,
    zh: `第 ${stepsDone()} 步。损失（奈特／字节）：${losses.join("，")}。`,
  });
}
