/** Settings that table entries declare for themselves; the config schema, the help and the page's form read them. */

export interface NumberKnob {
  readonly kind: "number";
  readonly default: number;
  readonly minimum: number;
  /** Largest value; absent: none. */
  readonly maximum?: number;
  /** Only whole numbers. */
  readonly whole?: boolean;
  readonly help: string;
  /** Where the default comes from. */
  readonly source?: string;
}

/** A number for all layers, or a list with one for each MoE layer. */
export interface LayerwiseKnob extends Omit<NumberKnob, "kind" | "whole"> {
  readonly kind: "layerwise";
}

export interface BooleanKnob {
  readonly kind: "boolean";
  readonly default: boolean;
  readonly help: string;
}

export interface ChoiceKnob<Option extends string = string> {
  readonly kind: "choice";
  readonly default: Option;
  readonly options: Readonly<Record<Option, string>>;
  readonly help: string;
}

export type Knob = NumberKnob | LayerwiseKnob | BooleanKnob | ChoiceKnob;

/** The knobs of a table entry by name. */
export type Knobs = Readonly<Record<string, Knob>>;

/** What a config gives for an entry's knobs. */
export type GivenValues<Table extends Knobs> = { readonly [Name in keyof Table]: GivenValue<Table[Name]> };

/** What the entry itself is given, for one layer. */
export type KnobValues<Table extends Knobs> = {
  readonly [Name in keyof Table]: Exclude<GivenValue<Table[Name]>, readonly number[]>;
};

type GivenValue<One extends Knob> = One extends NumberKnob
  ? number
  : One extends LayerwiseKnob
    ? number | readonly number[]
    : One extends BooleanKnob
      ? boolean
      : One extends ChoiceKnob
        ? keyof One["options"] & string
        : never;

/** The values as they are when nothing is given. */
export function defaultsOf<Table extends Knobs>(knobs: Table): KnobValues<Table> {
  return Object.fromEntries(Object.entries(knobs).map(([name, knob]) => [name, knob.default])) as KnobValues<Table>;
}

/** The options of a choice among the entries of a table. */
export const titlesOf = <Name extends string>(table: Readonly<Record<Name, { readonly title: string }>>) =>
  Object.fromEntries(
    Object.entries<{ readonly title: string }>(table).map(([name, { title }]) => [name, title]),
  ) as Readonly<Record<Name, string>>;
