/** One token's journey through a layer, step by step, under the router of the reader's choice. */
import { computed } from "@preact/signals";
import { contenderNames, contenders, fullTitle } from "../batch/contenders.ts";
import { Control } from "../controls/controls.tsx";
import { travel, wordsOf } from "../journey/journey.ts";
import { JourneyPicture } from "../journey/picture.tsx";
import { steps } from "../journey/steps.ts";
import { journeyKnobs, LAST_STEP, MOST_WORDS } from "../knobs/journey.ts";
import { say } from "../language.ts";
import { announce } from "../messages.ts";
import type { Phrase } from "../phrase.ts";
import { Formula, Numbers, Popover } from "../popover.tsx";
import type { Scene } from "../scene.ts";
import { isHidden, turn, values } from "../state.ts";

const words = {
  lead: {
    en: "Follow one token from the router's logits to the sum of its experts' outputs. Then change the router, and watch only the selection change.",
    zh: "跟随一个词元，从路由器的 logit 直到专家输出之和。然后更换路由器，看看变化的只有选择。",
  },
  follow: { en: "Token followed", zh: "跟随的词元" },
  back: { en: "Back", zh: "上一步" },
  next: { en: "Next", zh: "下一步" },
  steps: { en: "Steps", zh: "步骤" },
  reference: { en: "The rings show what top-k would take.", zh: "圆环表示 top-k 会选的专家。" },
  empty: {
    en: "There is no word in the sentence; the last one stays.",
    zh: "句子里没有词；保留上一句。",
  },
} satisfies Record<string, Phrase>;

let lastWords = wordsOf(journeyKnobs.words.initial);

/** The words of the sentence, or of the last that had any. */
const sentence = computed(() => {
  const found = wordsOf(values.value.words).slice(0, MOST_WORDS);
  if (found.length > 0) lastWords = found;
  return { words: lastWords, isEmpty: found.length === 0 };
});

const token = computed(() => Math.min(values.value.token, sentence.value.words.length - 1));

const travelled = computed(() => travel(sentence.value.words, token.value, values.value.router, values.value.seed));

const reference = computed(() => {
  if (values.value.router === "topk") return new Set<number>();
  return new Set(
    travel(sentence.value.words, token.value, "topk", values.value.seed).chosen.map(({ expert }) => expert),
  );
});

function View() {
  const { step } = values.value;
  return (
    <div class="with-controls">
      {isHidden("controls") ? null : (
        <div class="controls">
          <Sentence />
          <RouterChoice />
        </div>
      )}
      <div class="journey">
        <Stepper />
        <Explanation />
        <JourneyPicture journey={travelled.value} step={step} reference={reference.value} />
        {step >= 3 && reference.value.size > 0 ? <p class="note">{say(words.reference)}</p> : null}
      </div>
    </div>
  );
}

function Sentence() {
  const { words: all, isEmpty } = sentence.value;
  return (
    <div class="own-words">
      <Control name="words" />
      {isEmpty ? <p class="cannot">{say(words.empty)}</p> : null}
      {isHidden("token") ? null : (
        <fieldset class="choices">
          <legend>{say(words.follow)}</legend>
          {all.map((word, i) => (
            <label key={i} class="choice">
              <input type="radio" name="token" checked={i === token.value} onChange={() => turn({ token: i })} />
              <span>{word}</span>
            </label>
          ))}
        </fieldset>
      )}
    </div>
  );
}

function RouterChoice() {
  if (isHidden("router")) return null;
  return (
    <fieldset class="choices">
      <legend>{say(journeyKnobs.router.label)}</legend>
      {contenderNames.map((name) => (
        <label key={name} class="choice" title={say(fullTitle(name))}>
          <input
            type="radio"
            name="router"
            checked={name === values.value.router}
            onChange={() => turn({ router: name, step: Math.max(3, values.value.step) })}
          />
          <span>{say(contenders[name].short)}</span>
        </label>
      ))}
    </fieldset>
  );
}

function Stepper() {
  const { step } = values.value;
  return (
    <nav class="stepper" aria-label={say(words.steps)}>
      <button type="button" disabled={step === 0} onClick={() => go(step - 1)}>
        {say(words.back)}
      </button>
      <button type="button" class="primary" disabled={step === LAST_STEP} onClick={() => go(step + 1)}>
        {say(words.next)}
      </button>
      <ol>
        {steps.map(({ title }, i) => (
          <li key={title.en}>
            <button
              type="button"
              aria-current={i === step ? "step" : undefined}
              class={i <= step ? "done" : ""}
              onClick={() => go(i)}
            >
              {say(title)}
            </button>
          </li>
        ))}
      </ol>
    </nav>
  );
}

/** To another step, said aloud. */
function go(step: number): void {
  turn({ step });
  const { title, text, numbers } = steps[step]!;
  const { en, zh } = text(travelled.value, word());
  const found = numbers(travelled.value).join("; ");
  announce({ en: `${title.en}. ${en} ${found}`, zh: `${title.zh}。${zh} ${found}` });
}

const word = (): string => sentence.value.words[token.value]!;

function Explanation() {
  const { title, text, formula, numbers, working = numbers } = steps[values.value.step]!;
  const journey = travelled.value;
  const content = () => <Formula title={say(title)} formula={formula(journey)} numbers={working(journey)} />;
  return (
    <section class="explanation" aria-labelledby="step-title">
      <div>
        <h2 id="step-title">{say(title)}</h2>
        <p>{say(text(journey, word()))}</p>
      </div>
      <div class="derivation">
        <p class="formula">
          <Popover content={content} width={36}>
            {formula(journey)}
          </Popover>
        </p>
        <Numbers lines={numbers(journey)} />
      </div>
    </section>
  );
}

export const journey: Scene = { name: "journey", lead: words.lead, View };
