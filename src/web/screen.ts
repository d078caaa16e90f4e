/** What the page asks of the screen and the system. */
import { type ReadonlySignal, signal } from "@preact/signals";

function media(query: string): ReadonlySignal<boolean> {
  // The worker that trains runs the same script, and has no screen.
  if (typeof matchMedia === "undefined") return signal(false);
  const list = matchMedia(query);
  const matches = signal(list.matches);
  list.addEventListener("change", () => {
    matches.value = list.matches;
  });
  return matches;
}

export const isSystemDark = media("(prefers-color-scheme: dark)");

/** Whether pictures that change by themselves are to change seldom. */
export const isCalm = media("(prefers-reduced-motion: reduce)");

/** Seen from afar, as in a lecture: what is drawn grows with the letters of the page. */
export const isProjected = media("(min-width: 100rem)");

/** Room for a column of controls beside the scene; layout.css has the same bound. */
export const isWide = media("(min-width: 62rem)");
