/** All knobs of the page in one table: links, controls, help and `hide=` read it. */

import { journeyKnobs } from "./journey.ts";
import type { Knob, Values } from "./knob.ts";
import { pageKnobs } from "./page.ts";
import { routingKnobs } from "./routing.ts";
import { trainingKnobs } from "./training.ts";

export const knobs = { ...pageKnobs, ...journeyKnobs, ...routingKnobs, ...trainingKnobs };

export type KnobName = keyof typeof knobs;

export type KnobValues = Values<typeof knobs>;

/** An entry of the table, without the type of its values. */
export const knobNamed = (name: KnobName): Knob => knobs[name];

export const knobNames = Object.keys(knobs) as KnobName[];

export const initialValues = Object.fromEntries(
  knobNames.map((name) => [name, knobNamed(name).initial]),
) as unknown as KnobValues;
