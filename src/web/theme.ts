/** Light or dark: what the reader chose, or else what the system asks for. */
import { computed } from "@preact/signals";
import { isSystemDark } from "./screen.ts";
import { values } from "./state.ts";

export const theme = computed<"light" | "dark">(() => {
  const chosen = values.value.theme;
  if (chosen !== "auto") return chosen;
  return isSystemDark.value ? "dark" : "light";
});
