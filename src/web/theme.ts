/** Light or dark: what the reader chose, or else what the system asks for. */
import { computed } from "@preact/signals";
import { isSystemDark } from "./screen.ts";
import { knobValue } from "./state.ts";

export const theme = computed<"light" | "dark">(() => {
  const chosen = knobValue("theme");
  if (chosen !== "auto") return chosen;
  return isSystemDark.value ? "dark" : "light";
});
