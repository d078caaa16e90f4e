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

export function start(scenes: readonly Scene[]): void {
  options.debounceRendering = requestAnimationFrame; // however often a knob is turned, the page is drawn once a frame
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
