/** Keeps the address and the state together: the address follows the knobs, and links move the knobs. */
import { effect } from "@preact/signals";
import { hashOf, readHash } from "./hash.ts";
import { initialValues } from "./knobs/knobs.ts";
import { tell } from "./messages.ts";
import { values } from "./state.ts";
import { openedChapter } from "./tour/chapters.ts";

/** Browsers refuse addresses that change too often. */
const PAUSE_MILLISECONDS = 250;

/** A link typed by hand: the chapter then says what the knobs are. */
function isChapterAlone(hash: string): boolean {
  const names = [...new URLSearchParams(hash.slice(1)).keys()];
  return names.includes("chapter") && names.every((name) => ["chapter", "lang", "theme", "hide"].includes(name));
}

export function followAddress(): void {
  const read = () => {
    const { values: found, problems } = readHash(location.hash, initialValues, values.value);
    values.value = isChapterAlone(location.hash) ? openedChapter(found, found.chapter) : found;
    tell(problems);
  };
  read();
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
