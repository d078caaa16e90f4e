/** Knobs of live training. */

export const trainingKnobs = {};
