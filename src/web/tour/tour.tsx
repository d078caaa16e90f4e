/** The guided tour beside the scene: a chapter's text, its question, and the knobs it is about. */
import { useState } from "preact/hooks";
import { linkTo } from "../address.ts";
import { Control } from "../controls/controls.tsx";
import { say } from "../language.ts";
import { announce } from "../messages.ts";
import type { Phrase } from "../phrase.ts";
import { turn, values } from "../state.ts";
import type { Chapter, Question } from "./chapter.ts";
import { chapters, openedChapter } from "./chapters.ts";

const words = {
  tour: { en: "Guided tour", zh: "导览" },
  of: { en: "of", zh: "/" },
  before: { en: "Previous", zh: "上一章" },
  after: { en: "Next chapter", zh: "下一章" },
  leave: { en: "Explore freely", zh: "自由探索" },
  contents: { en: "Chapters", zh: "章节" },
  reveal: { en: "Show me", zh: "揭晓" },
  guess: { en: "Guess first.", zh: "先猜一猜。" },
  right: { en: "As you said.", zh: "正如你所说。" },
  wrong: ({ en, zh }: Phrase): Phrase => ({ en: `Not quite: ${en}.`, zh: `并非如此，答案是：${zh}。` }),
  turn: { en: "To turn", zh: "可以调节" },
} satisfies Record<string, Phrase | ((answer: Phrase) => Phrase)>;

export function Tour() {
  const { chapter: number } = values.value;
  const chapter = chapters[number - 1]!;
  return (
    <aside class="tour" aria-label={say(words.tour)}>
      <p class="place">
        {say(words.tour)} · {number} {say(words.of)} {chapters.length}
      </p>
      <h2>{say(chapter.title)}</h2>
      {chapter.text.map((paragraph) => (
        <p key={paragraph.en}>{say(paragraph)}</p>
      ))}
      {chapter.question === undefined ? null : <Guess key={number} question={chapter.question} />}
      <Invited chapter={chapter} />
      <Ways number={number} />
    </aside>
  );
}

function Invited({ chapter: { knobs } }: { readonly chapter: Chapter }) {
  if (knobs.length === 0) return null;
  return (
    <fieldset class="invited">
      <legend>{say(words.turn)}</legend>
      {knobs.map((name) => (
        <Control key={name} name={name} />
      ))}
    </fieldset>
  );
}

function Ways({ number }: { readonly number: number }) {
  const to = (other: number) => linkTo(openedChapter(values.value, other));
  return (
    <>
      <nav class="ways" aria-label={say(words.contents)}>
        {number > 1 ? <a href={to(number - 1)}>← {say(words.before)}</a> : null}
        {number < chapters.length ? (
          <a class="primary" href={to(number + 1)}>
            {say(words.after)} →
          </a>
        ) : null}
        <button type="button" class="quiet" onClick={() => turn({ chapter: 0 })}>
          {say(words.leave)}
        </button>
      </nav>
      <details class="contents">
        <summary>{say(words.contents)}</summary>
        <ol>
          {chapters.map(({ title }, i) => (
            <li key={title.en}>
              <a href={to(i + 1)} aria-current={i + 1 === number ? "step" : undefined}>
                {say(title)}
              </a>
            </li>
          ))}
        </ol>
      </details>
    </>
  );
}

function Guess({ question: { ask, options, answer, reveal, show } }: { readonly question: Question }) {
  const [guess, setGuess] = useState<number>();
  const [isRevealed, setRevealed] = useState(false);
  const look = () => {
    setRevealed(true);
    if (show) turn(show);
    announce(reveal);
  };
  return (
    <div class="guess">
      <fieldset disabled={isRevealed}>
        <legend>{say(ask)}</legend>
        {options.map((option, i) => (
          <label key={option.en} class={isRevealed && i === answer ? "option answer" : "option"}>
            <input type="radio" name="guess" checked={guess === i} onChange={() => setGuess(i)} />
            {say(option)}
            {isRevealed && i === answer ? " ✓" : null}
          </label>
        ))}
      </fieldset>
      {isRevealed ? (
        <p class="revealed">
          <strong>{guess === answer ? say(words.right) : say(words.wrong(options[answer]!))}</strong> {say(reveal)}
        </p>
      ) : (
        <button type="button" disabled={guess === undefined} onClick={look}>
          {guess === undefined ? say(words.guess) : say(words.reveal)}
        </button>
      )}
    </div>
  );
}
