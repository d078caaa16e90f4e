/** What stands around every scene: the name, the ways to the scenes, language and light, messages, the foot. */
import { linkTo } from "./address.ts";
import { pageKnobs } from "./knobs/page.ts";
import { language, say } from "./language.ts";
import { announcement, problems, tell } from "./messages.ts";
import type { Phrase } from "./phrase.ts";
import type { Scene } from "./scene.ts";
import { isHidden, turn, values } from "./state.ts";
import { theme } from "./theme.ts";
import { openedChapter } from "./tour/chapters.ts";
import { Tour } from "./tour/tour.tsx";

const words = {
  skip: { en: "Skip to the content", zh: "跳到正文" },
  parts: { en: "Parts of the page", zh: "页面部分" },
  tour: { en: "Guided tour", zh: "导览" },
  light: { en: "Light", zh: "浅色" },
  dark: { en: "Dark", zh: "深色" },
  dismiss: { en: "Put away", zh: "知道了" },
  absent: {
    en: "This copy of the page is the small one, without training. The whole page has it: npm run page.",
    zh: "这是不含训练的精简版页面。完整页面包含训练：npm run page。",
  },
  foot: {
    en: "Computed here, by the same code as the command line; nothing leaves this page. Seconds are simulated: a model of the hardware, not a measurement on it.",
    zh: "全部在本页内计算，与命令行使用同一份代码，不发送任何数据。时间均为模拟值：来自硬件模型，并非实测。",
  },
} satisfies Record<string, Phrase>;

export function Shell({ scenes }: { readonly scenes: readonly Scene[] }) {
  const scene = scenes.find(({ name }) => name === values.value.scene);
  const isTouring = values.value.chapter > 0 && !isHidden("tour");
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("content")!.focus()}>
        {say(words.skip)}
      </button>
      {isHidden("header") ? null : <Header scenes={scenes} />}
      <Problems />
      <div class={isTouring ? "touring" : undefined}>
        {isTouring ? <Tour /> : null}
        <main id="content" tabIndex={-1}>
          {scene === undefined ? <p class="lead">{say(words.absent)}</p> : <Opened scene={scene} key={scene.name} />}
        </main>
      </div>
      {isHidden("footer") ? null : <footer>{say(words.foot)}</footer>}
      <p class="aloud" aria-live="polite">
        {say(announcement.value)}
      </p>
    </>
  );
}

function Header({ scenes }: { readonly scenes: readonly Scene[] }) {
  const { scene, chapter } = values.value;
  const isDark = theme.value === "dark";
  const other = language.value === "en" ? "zh" : "en";
  return (
    <header>
      <p class="name">moge</p>
      <nav aria-label={say(words.parts)}>
        {scenes.map(({ name }) => (
          <a
            key={name}
            href={linkTo({ ...values.value, scene: name, chapter: 0 })}
            aria-current={name === scene ? "page" : undefined}
          >
            {say(pageKnobs.scene.options[name])}
          </a>
        ))}
        {isHidden("tour") ? null : (
          <a
            class="to-tour"
            href={linkTo(openedChapter(values.value, 1))}
            aria-current={chapter > 0 ? "true" : undefined}
          >
            {say(words.tour)}
          </a>
        )}
      </nav>
      <div class="tools">
        <button type="button" lang={other} onClick={() => turn({ lang: other })}>
          {other === "zh" ? "中文" : "English"}
        </button>
        <button type="button" onClick={() => turn({ theme: isDark ? "light" : "dark" })}>
          {say(isDark ? words.light : words.dark)}
        </button>
      </div>
    </header>
  );
}

function Problems() {
  return (
    <div class="problems" role="alert">
      {problems.value.length === 0 ? null : (
        <>
          <ul>
            {problems.value.map((problem) => (
              <li key={problem.en}>{say(problem)}</li>
            ))}
          </ul>
          <button type="button" onClick={() => tell([])}>
            {say(words.dismiss)}
          </button>
        </>
      )}
    </div>
  );
}

function Opened({ scene: { name, lead, View } }: { readonly scene: Scene }) {
  return (
    <>
      <h1>{say(pageKnobs.scene.options[name])}</h1>
      <p class="lead">{say(lead)}</p>
      <View />
    </>
  );
}
