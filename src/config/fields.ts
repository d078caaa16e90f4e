/**
 * What the schema is built of: one constructor a kind of knob, each with its default, bounds and help.
 * Written with zod/mini so that the page can carry it.
 */
import * as z from "zod/mini";
import type { Knob, NumberKnob } from "../core/knob.ts";

export const described = <S extends z.core.$ZodType>(schema: S, description: string): S => {
  z.globalRegistry.add(schema, { description });
  return schema;
};

/** Beyond these a number is a slip of the finger; memory sets the real bounds much earlier. */
const MOST = 1e9;

export const count = (fallback: number, help: string, most = MOST) =>
  described(z._default(z.int().check(z.minimum(1), z.maximum(most)), fallback), help);
export const countOrZero = (fallback: number, help: string, most = MOST) =>
  described(z._default(z.int().check(z.minimum(0), z.maximum(most)), fallback), help);
export const positive = (fallback: number, help: string) =>
  described(z._default(z.number().check(z.gt(0)), fallback), help);
export const notNegative = (fallback: number, help: string) =>
  described(z._default(z.number().check(z.minimum(0)), fallback), help);
/** Short of 1 by what single precision can still tell from it. */
export const fraction = (fallback: number, help: string) =>
  described(z._default(z.number().check(z.minimum(0), z.maximum(0.99999)), fallback), help);
export const flag = (fallback: boolean, help: string) => described(z._default(z.boolean(), fallback), help);
/** A name that is also a folder's, and none of those that a run uses besides its own. */
export const fileName = (help: string) =>
  described(
    z
      .string()
      .check(
        z.regex(
          /^(?!.*\.(?:partial|replaced)$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
          'a name of letters, digits, ".", "_" and "-" that does not end in .partial or .replaced',
        ),
      ),
    help,
  );
export const keys = <T extends object>(table: T) => Object.keys(table) as (keyof T & string)[];
/** One of the names of a table. The help says what each of them means. */
export const choice = <T extends Readonly<Record<string, string | { readonly title: string }>>>(
  table: T,
  fallback: NoInfer<keyof T & string>,
  help: string,
) => {
  const meaning = (entry: string | { readonly title: string }) => (typeof entry === "string" ? entry : entry.title);
  const options = Object.entries(table).map(([name, entry]) => `${name}: ${meaning(entry)}`);
  return described(z._default(z.enum(keys(table)), fallback as never), `${help}. ${options.join("; ")}`);
};
/** A section whose keys all have defaults may be left out. */
export const section = <S extends z.core.$ZodLooseShape>(shape: S, help: string) =>
  described(z.prefault(z.strictObject(shape), {} as never), help);

export function knobSchema(knob: Knob): z.ZodMiniType {
  switch (knob.kind) {
    case "number":
      return described(z._default(numberWithin(knob, knob.whole ? z.int() : z.number()), knob.default), helpOf(knob));
    case "layerwise": {
      const one = numberWithin(knob, z.number());
      const help = `${helpOf(knob)}; one number, or a list with one for each layer`;
      return described(z._default(z.union([one, z.array(one).check(z.minLength(1))]), knob.default), help);
    }
    case "boolean":
      return flag(knob.default, knob.help);
    case "choice":
      return choice(knob.options, knob.default, knob.help);
  }
}

type Bounded = Pick<NumberKnob, "minimum" | "maximum">;

const numberWithin = <S extends z.ZodMiniNumber>({ minimum, maximum = MOST }: Bounded, schema: S) =>
  schema.check(z.minimum(minimum), z.maximum(maximum));

const helpOf = ({ help, source }: Pick<NumberKnob, "help" | "source">): string =>
  source ? `${help} (default: ${source})` : help;
