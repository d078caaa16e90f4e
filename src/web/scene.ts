/** What a part of the page is. A new one is one file in scenes/, one line in main.tsx and an option of `scene`. */
import type { ComponentType } from "preact";
import type { KnobValues } from "./knobs/knobs.ts";
import type { Phrase } from "./phrase.ts";

export interface Scene {
  readonly name: KnobValues["scene"];
  /** What the reader will see and learn, one sentence. */
  readonly lead: Phrase;
  readonly View: ComponentType;
}
