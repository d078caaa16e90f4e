/** Two small models learn to read, side by side; they differ in their router alone. */
import { useEffect } from "preact/hooks";
import { Controls } from "../controls/controls.tsx";
import { say } from "../language.ts";
import { tell } from "../messages.ts";
import type { Phrase } from "../phrase.ts";
import { phraseOf } from "../refused.ts";
import type { Scene } from "../scene.ts";
import { values } from "../state.ts";
import { DomainCurves, ImbalanceCurves, LossCurves, TimeCurves, TimeParts } from "../training/curves.tsx";
import { DomainExperts, ExpertLoads, InformationCurves } from "../training/experts.tsx";
import { TrainingMeasures } from "../training/measures.tsx";
import { modelTitle } from "../training/models.ts";
import { ownTexts } from "../training/own-texts.ts";
import { Sentence } from "../training/sentence.tsx";
import { reset, type Session, session } from "../training/session.ts";
import { settingsOf } from "../training/settings.ts";
import { Texts } from "../training/texts.tsx";
import { Transport } from "../training/transport.tsx";

const words = {
  lead: {
    en: "Two small language models learn to predict the next byte, here in this page. They share their texts, starting weights and settings; only the router differs.",
    zh: "两个小语言模型就在本页中学习预测下一个字节。文本、初始权重和设置都相同，只有路由器不同。",
  },
  learning: { en: "What they learn", zh: "学到什么" },
  devices: { en: "What the devices get", zh: "设备分到什么" },
  specialise: { en: "Which expert for which text", zh: "哪个专家负责哪种文本" },
  sentence: { en: "Where each byte goes", zh: "每个字节去哪里" },
  training: { en: "Training", zh: "训练" },
  picture: { en: "Picture", zh: "图" },
} satisfies Record<string, Phrase>;

function View() {
  const settings = settingsOf(values.value, ownTexts.value);
  useEffect(() => {
    if (session.value !== undefined) return; // what was trained before another scene was looked at
    try {
      reset(settings);
    } catch (error) {
      tell([phraseOf(error)]);
    }
  }, []);
  return (
    <div class="with-controls">
      <Controls
        groups={[
          { title: words.training, names: ["steps", "coefficient", "rate", "seed"] },
          { title: words.picture, names: ["layer"] },
        ]}
      >
        <Texts />
      </Controls>
      <div>
        <Transport settings={settings} />
        {session.value === undefined ? null : <Pictures session={session.value} />}
      </div>
    </div>
  );
}

function Pictures({ session: current }: { readonly session: Session }) {
  const { models, domains, settings } = current;
  const layer = Math.min(Number(values.value.layer), models[0]!.arm.config.model.layers) - 1;
  const over = { models, steps: settings.steps };
  const loads = models.flatMap(({ steps }) => steps.at(-1)?.layers[layer]?.expertLoad ?? [0]);
  return (
    <>
      <TrainingMeasures models={models} layer={layer} />
      <h2>{say(words.learning)}</h2>
      <LossCurves {...over} />
      <DomainCurves {...over} domains={domains} />
      <h2>{say(words.devices)}</h2>
      <div class="side-by-side">
        <ImbalanceCurves {...over} />
        <TimeCurves {...over} />
      </div>
      <TimeParts models={models} />
      <div class="side-by-side">
        {models.map((model) => (
          <div key={model.arm.name} class="column">
            <h3 class={model.arm.name}>{modelTitle(model.arm.name)}</h3>
            <ExpertLoads model={model} layer={layer} most={Math.max(1, ...loads)} />
          </div>
        ))}
      </div>
      <h2>{say(words.specialise)}</h2>
      <InformationCurves {...over} layer={layer} />
      <div class="side-by-side">
        {models.map((model) => (
          <div key={model.arm.name} class="column">
            <h3 class={model.arm.name}>{modelTitle(model.arm.name)}</h3>
            <DomainExperts model={model} layer={layer} domains={domains} />
          </div>
        ))}
      </div>
      <h2>{say(words.sentence)}</h2>
      <Sentence session={current} layer={layer} />
    </>
  );
}

export const training: Scene = { name: "training", lead: words.lead, View };
