/**
 * What a knob of the page is: a schema that says which values there are, and how a person sees and turns it.
 *
 * A knob that is also one of the config's has the config's own schema, so that a link is held to the same rules as a
 * file is.
 */
import type * as z from "zod/mini";
import { schemaAt } from "../../config/schema-at.ts";
import { type Phrase, same } from "../phrase.ts";

export type Value = number | string;

interface Described {
  readonly label: Phrase;
  readonly help: Phrase;
}

/** For knobs that no control of their own turns: links, buttons and the tour do. */
export const uncontrolled: Described = { label: same(""), help: same("") };

interface Declared<T extends Value> extends Described {
  readonly schema: z.ZodMiniType<T>;
  /** The value when nothing is said. */
  readonly initial: T;
}

export interface Slider extends Declared<number> {
  readonly kind: "slider";
  /** Ascending, where the slider stops. A link may ask for anything in between that the schema allows. */
  readonly stops: readonly number[];
  /** How a value is written; absent: as it is. */
  readonly show?: (value: number) => string;
}

export interface Menu<Option extends string = string> extends Declared<Option> {
  readonly kind: "menu";
  readonly options: Readonly<Record<Option, Phrase>>;
}

export interface Text extends Declared<string> {
  readonly kind: "text";
  readonly longest: number;
}

export type Knob = Slider | Menu | Text;

/** What a table of knobs holds. */
export type Values<Table> = { readonly [Name in keyof Table]: Table[Name] extends Declared<infer T> ? T : never };

type Given<Shown, T extends Value> = Omit<Shown, "kind" | "schema" | "initial"> & {
  /** Dotted key in a config, or a schema of the page's own. */
  readonly of: string | z.ZodMiniType<T>;
  /** Absent: the schema's default. */
  readonly initial?: NoInfer<T>;
};

function declared<T extends Value>(of: string | z.ZodMiniType<T>, initial: T | undefined) {
  const schema = (typeof of === "string" ? schemaAt(of) : of) as z.ZodMiniType<T>;
  return { schema, initial: initial ?? schema.parse(undefined) };
}

export const slider = ({ of, initial, ...shown }: Given<Slider, number>): Slider => ({
  kind: "slider",
  ...shown,
  ...declared(of, initial),
});

export const menu = <Option extends string>({ of, initial, ...shown }: Given<Menu<Option>, Option>): Menu<Option> => ({
  kind: "menu",
  ...shown,
  ...declared(of, initial),
});

export const text = ({ of, initial, ...shown }: Given<Text, string>): Text => ({
  kind: "text",
  ...shown,
  ...declared(of, initial),
});
