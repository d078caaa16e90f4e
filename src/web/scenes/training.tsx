/** Placeholder of a scene. */
import type { Scene } from "../scene.ts";

export const training: Scene = {
  name: "training",
  lead: { en: "…", zh: "…" },
  View: () => <p>…</p>,
};
