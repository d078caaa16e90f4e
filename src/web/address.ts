/** Keeps the address and the state together: the address follows the knobs, and links move the knobs. */
import { effect } from "@preact/signals";
import { hashOf, readHash } from "./hash.ts";
import { initialValues, type KnobValues } from "./knobs/knobs.ts";
import { tell } from "./messages.ts";
import { hasEmbedded } from "./results/embedded.ts";
import { turn, values } from "./state.ts";
import { openedChapter } from "./tour/chapters.ts";

/** Browsers refuse addresses that change too often. */
const PAUSE_MILLISECONDS = 250;

/** What an address names beside the manner in which the page is shown. */
const subjects = (hash: string): string[] =>
  [...new URLSearchParams(hash.slice(1)).keys()].filter((name) => !["lang", "theme", "hide"].includes(name));

/** A link typed by hand: the chapter then says what the knobs are. */
const isChapterAlone = (hash: string): boolean => subjects(hash).join() === "chapter";

/**
 * The fragment that opens the page with these values. It names the scene where silence would open another one: that of the
 * run inside the page, or of the chapter as it begins.
 */
export const linkTo = (shown: KnobValues): string => hashOf(shown, shown.chapter > 0 || hasEmbedded() ? ["scene"] : []);

export function followAddress(): void {
  /** As it was last read or written; another one is a link that was just followed, of which the news is on its way. */
  let known = "";
  const read = () => {
    known = location.hash;
    const { values: found, problems } = readHash(location.hash, initialValues, values.value);
    values.value = isChapterAlone(location.hash) ? openedChapter(found, found.chapter) : found;
    if (hasEmbedded() && subjects(location.hash).length === 0) turn({ scene: "results" });
    tell(problems);
  };
  read();
  addEventListener("hashchange", read);
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    const hash = linkTo(values.value);
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (location.hash !== known || hash === (known || "#")) return;
      history.replaceState(null, "", hash);
      known = location.hash;
    }, PAUSE_MILLISECONDS);
  });
}
