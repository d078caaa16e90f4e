/** Keeps the address and the state together: the address follows the knobs, and links move the knobs. */
import { effect } from "@preact/signals";
import { hashOf, readHash } from "./hash.ts";
import { initialValues } from "./knobs/knobs.ts";
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

export function followAddress(): void {
  const read = () => {
    const { values: found, problems } = readHash(location.hash, initialValues, values.value);
    values.value = isChapterAlone(location.hash) ? openedChapter(found, found.chapter) : found;
    tell(problems);
  };
  read();
  if (hasEmbedded() && subjects(location.hash).length === 0) turn({ scene: "results" });
  addEventListener("hashchange", read);
  let timer: ReturnType<typeof setTimeout> | undefined;
  effect(() => {
    const hash = hashOf(values.value);
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (hash !== (location.hash || "#")) history.replaceState(null, "", hash);
    }, PAUSE_MILLISECONDS);
  });
}
