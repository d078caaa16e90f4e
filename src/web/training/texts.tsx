/** What the models read: the texts of the page, and the reader's own. */
import { useState } from "preact/hooks";
import { textDomains } from "../../data/text-domains.ts";
import { DropZone } from "../drop-zone.tsx";
import type { DroppedFile } from "../dropped.ts";
import { say } from "../language.ts";
import { announce, tell } from "../messages.ts";
import type { Phrase } from "../phrase.ts";
import { phraseOf } from "../refused.ts";
import { turn, values } from "../state.ts";
import { readOwnTexts } from "./own-text.ts";
import { ownTexts } from "./own-texts.ts";
import { type BuiltInText, builtIn, leastBytes, settingsOf } from "./settings.ts";

const words = {
  texts: { en: "Texts", zh: "文本" },
  invite: { en: "Drop your own text here, or", zh: "把自己的文本拖到这里，或" },
  choose: { en: "choose files", zh: "选择文件" },
  remove: { en: "Take away", zh: "移除" },
  bytes: { en: "bytes", zh: "字节" },
  oneAtLeast: {
    en: "One text at least must be left to train on.",
    zh: "至少要留下一种文本用于训练。",
  },
  about: { en: "About the texts", zh: "关于这些文本" },
} satisfies Record<string, Phrase>;

/** Of the texts that the page carries; the English ones are the table's. */
const chineseTitles: Readonly<Record<string, string>> = {
  "moby-dick": "赫尔曼·梅尔维尔《白鲸》，第 1 至 42 章",
  german: "TypeScript 编译器的德语消息",
  russian: "TypeScript 编译器的俄语消息",
  japanese: "TypeScript 编译器的日语消息",
  chinese: "TypeScript 编译器的中文消息",
  code: "zod 的源代码，src/v4/core",
  arithmetic: "小整数的和、差、积",
};

const titleOf = (name: BuiltInText["name"]): string =>
  say({ en: textDomains[name].title, zh: chineseTitles[name] ?? textDomains[name].title });

export function Texts() {
  const [isReading, reading] = useState(false);
  const settings = settingsOf(values.value, ownTexts.value);
  const isIn = (name: string) => settings.builtIn.some((text) => text.name === name);
  const select = (name: string, isWanted: boolean) => {
    const names = builtIn.map((text) => text.name).filter((each) => (each === name ? isWanted : isIn(each)));
    if (names.length + ownTexts.value.length === 0) return tell([words.oneAtLeast]);
    turn({ domains: names.length === builtIn.length ? "" : names.join(",") || "none" });
  };
  const take = async (files: readonly DroppedFile[]) => {
    reading(true);
    try {
      const texts = await readOwnTexts(files, leastBytes());
      const names = texts.map(({ name }) => name);
      ownTexts.value = [...ownTexts.value.filter(({ name }) => !names.includes(name)), ...texts];
      tell([]);
      announce({
        en: `Added ${names.join(", ")}. Begin anew to train on it.`,
        zh: `已加入 ${names.join("，")}。重新开始后用于训练。`,
      });
    } catch (error) {
      tell([phraseOf(error)]);
    } finally {
      reading(false);
    }
  };
  return (
    <fieldset class="texts" aria-busy={isReading}>
      <legend>{say(words.texts)}</legend>
      {builtIn.map(({ name }) => (
        <label key={name} class="check" title={titleOf(name)}>
          <input
            type="checkbox"
            checked={isIn(name)}
            onChange={(event) => {
              select(name, event.currentTarget.checked);
              event.currentTarget.checked = isIn(name);
            }}
          />
          {name}
        </label>
      ))}
      {ownTexts.value.map(({ name, bytes }) => (
        <p key={name} class="own-text">
          {`${name}, ${bytes.length.toLocaleString("en").replaceAll(",", " ")} ${say(words.bytes)}`}
          <button type="button" class="link" onClick={() => takeAway(name)}>
            {say(words.remove)}
          </button>
        </p>
      ))}
      <DropZone invitation={words.invite} choose={words.choose} folders={true} onFiles={(files) => void take(files)} />
      <details class="about">
        <summary>{say(words.about)}</summary>
        <ul>
          {builtIn.map(({ name }) => (
            <li key={name}>{`${name}: ${titleOf(name)}. ${textDomains[name].licence}. ${textDomains[name].source}`}</li>
          ))}
        </ul>
      </details>
    </fieldset>
  );
}

function takeAway(gone: string): void {
  const left = ownTexts.value.filter(({ name }) => name !== gone);
  if (left.length + settingsOf(values.value, left).builtIn.length === 0) tell([words.oneAtLeast]);
  else ownTexts.value = left;
}
