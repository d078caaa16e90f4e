/** The reader's own texts at the moment. */
import { signal } from "@preact/signals";
import type { OwnText } from "./own-text.ts";

export const ownTexts = signal<readonly OwnText[]>([]);
