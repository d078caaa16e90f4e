/** Puts the page together and keeps the document in step with the state. */
import { effect } from "@preact/signals";
import { options, render } from "preact";
import { followAddress } from "./address.ts";
import { pageKnobs } from "./knobs/page.ts";
import { language, say } from "./language.ts";
import type { Scene } from "./scene.ts";
import { Shell } from "./shell.tsx";
import { values } from "./state.ts";
import { theme } from "./theme.ts";

export function start(scenes: readonly Scene[]): void {
  options.debounceRendering = requestAnimationFrame; // however often a knob is turned, the page is drawn once a frame
  followAddress();
  const root = document.documentElement;
  effect(() => {
    root.lang = language.value === "zh" ? "zh-Hans" : "en";
    document.title = `${say(pageKnobs.scene.options[values.value.scene])} · moge`;
  });
  effect(() => {
    root.dataset["theme"] = theme.value;
  });
  const page = document.getElementById("page")!;
  page.replaceChildren();
  render(<Shell scenes={scenes} />, page);
  root.dataset["ready"] = "yes";
}
