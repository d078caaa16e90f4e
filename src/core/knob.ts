/** Settings that table entries declare for themselves; the config schema, the help and the page's form read them. */

export interface NumberKnob {
  readonly kind: "number";
  readonly default: number;
  readonly minimum: number;
  readonly help: string;
  /** Where the default comes from. */
  readonly source?: string;
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

export type Knob = NumberKnob | BooleanKnob | ChoiceKnob;

/** The knobs of a table entry by name. */
export type Knobs = Readonly<Record<string, Knob>>;

/** What an entry is given for its knobs. */
export type KnobValues<Table extends Knobs> = { readonly [Name in keyof Table]: KnobValue<Table[Name]> };

type KnobValue<One extends Knob> = One extends NumberKnob
  ? number
  : One extends BooleanKnob
    ? boolean
    : One extends ChoiceKnob
      ? keyof One["options"] & string
      : never;
