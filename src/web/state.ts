/** What the page shows, as one value of every knob. Scenes read it; controls, links and the tour change it. */
import { signal } from "@preact/signals";
import { initialValues, type KnobValues } from "./knobs/knobs.ts";

export const values = signal<KnobValues>(initialValues);

/** Changes some knobs at once. */
export function turn(changes: Partial<KnobValues>): void {
  values.value = { ...values.value, ...changes };
}

/** Parts and knobs that a lecturer hid. */
export const isHidden = (name: string): boolean => values.value.hide.split(",").includes(name);
