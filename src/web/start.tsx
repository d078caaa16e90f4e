/** Puts the page together and keeps the document in step with the state. */
import { effect } from "@preact/signals";
import { options, render } from "preact";
import { followAddress } from "./address.ts";
import { pageKnobs } from "./knobs/page.ts";
import { language, say } from "./language.ts";
import type { Scene } from "./scene.ts";
import { Shell } from "./shell.tsx";
import { knobValue } from "./state.ts";
import { theme } from "./theme.ts";

/** A window that nobody sees is given no frames; what is read from it, printed or said aloud must not wait for one. */
const LATEST_MILLISECONDS = 250;

/** However often a knob is turned, the page is drawn once a frame. */
function inTime(draw: () => void): void {
  const once = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    draw();
  };
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, LATEST_MILLISECONDS);
}

export function start(scenes: readonly Scene[]): void {
  options.debounceRendering = inTime;
  followAddress();
  const root = document.documentElement;
  // Each only when its own knobs change: to set a language anew, even the same, costs the style of the whole page.
  effect(() => {
    root.lang = language.value === "zh" ? "zh-Hans" : "en";
  });
  effect(() => {
    document.title = `${say(pageKnobs.scene.options[knobValue("scene")])} · moge`;
  });
  effect(() => {
    root.dataset["theme"] = theme.value;
  });
  const page = document.getElementById("page")!;
  page.replaceChildren();
  render(<Shell scenes={scenes} />, page);
  root.dataset["ready"] = "yes";
}
