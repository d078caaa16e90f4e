/** Light or dark: what the reader chose, or else what the system asks for. */
import { computed, signal } from "@preact/signals";
import { values } from "./state.ts";

const query = matchMedia("(prefers-color-scheme: dark)");
const isSystemDark = signal(query.matches);
query.addEventListener("change", ({ matches }) => {
  isSystemDark.value = matches;
});

export const theme = computed<"light" | "dark">(() => {
  const chosen = values.value.theme;
  if (chosen !== "auto") return chosen;
  return isSystemDark.value ? "dark" : "light";
});
