/** Placeholder of a scene. */
import type { Scene } from "../scene.ts";

export const results: Scene = {
  name: "results",
  lead: { en: "…", zh: "…" },
  View: () => <p>…</p>,
};
