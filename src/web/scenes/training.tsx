/** Placeholder of a scene. */
import { useEffect } from "preact/hooks";
import type { Scene } from "../scene.ts";
import { values } from "../state.ts";
import { pause, reset, run, session, stepsPerSecond } from "../training/session.ts";
import { settingsOf } from "../training/settings.ts";

export const training: Scene = {
  name: "training",
  lead: { en: "…", zh: "…" },
  View: () => {
    useEffect(() => reset(settingsOf(values.value, [])), []);
    return (
      <p>
        {session.value?.models.map(({ arm, steps }) => `${arm.name} ${steps.length} ${steps.at(-1)?.trainingLossNatsPerByte} `)}
        {stepsPerSecond.value}
        <button type="button" onClick={() => void run(() => 0)}>run</button>
        <button type="button" onClick={pause}>pause</button>
      </p>
    );
  },
};
