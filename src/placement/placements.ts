/** The table of placements: which device holds which expert. A new one is one entry here. */

export interface Placement {
  readonly title: string;
  /** @returns [N] the device of each expert. Throws nothing: N is a multiple of D by the config's rules. */
  place(experts: number, devices: number): Int32Array;
}

const contiguous: Placement = {
  title: "expert i on device ⌊i·D/N⌋, so that whole groups stay together",
  place: (experts, devices) => new Int32Array(experts).map((_, i) => Math.floor((i * devices) / experts)),
};

export const placements = { contiguous } satisfies Record<string, Placement>;
