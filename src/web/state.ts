/** What the page shows, as one value of every knob. Scenes read it; controls, links and the tour change it. */
import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { initialValues, type KnobName, type KnobValues, knobNames } from "./knobs/knobs.ts";

export const values = signal<KnobValues>(initialValues);

const each = Object.fromEntries(knobNames.map((name) => [name, computed(() => values.value[name])])) as {
  readonly [Name in KnobName]: ReadonlySignal<KnobValues[Name]>;
};

/** One knob's value: what reads it is drawn anew when it changes, and not with every other knob. */
export const knobValue = <Name extends KnobName>(name: Name): KnobValues[Name] => each[name].value;

/** Changes some knobs at once. */
export function turn(changes: Partial<KnobValues>): void {
  values.value = { ...values.value, ...changes };
}

/** Parts and knobs that a lecturer hid. */
export const isHidden = (name: string): boolean => knobValue("hide").split(",").includes(name);
