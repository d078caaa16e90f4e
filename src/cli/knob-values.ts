/** `--set key=value` against a table of knobs. */
import { didYouMean } from "../config/problem.ts";
import type { Knob, Knobs } from "../core/knob.ts";
import { UsageError } from "./failure.ts";

export type KnobValue = number | boolean | string;

/**
 * @param groups knobs by the prefix of their keys; those of the empty prefix need none
 * @returns values by prefix and name, of the keys that are given alone
 * @throws UsageError for keys and values that do not fit
 */
export function parseSettings(
  sets: readonly string[],
  groups: Readonly<Record<string, Knobs>>,
): Readonly<Record<string, Readonly<Record<string, KnobValue>>>> {
  const keys = Object.entries(groups).flatMap(([prefix, knobs]) =>
    Object.keys(knobs).map((name) => ({ prefix, name, key: prefix === "" ? name : `${prefix}.${name}` })),
  );
  const values: Record<string, Record<string, KnobValue>> = Object.fromEntries(
    Object.keys(groups).map((prefix) => [prefix, {}]),
  );
  for (const set of sets) {
    const [, written, text] = /^([^=]+)=(.*)$/.exec(set) ?? [];
    if (written === undefined || text === undefined) {
      throw new UsageError(`--set ${set}: expected key=value, for example --set scoreFunction=sigmoid`);
    }
    const found = keys.find(({ key }) => key === written) ?? keys.find(({ name }) => name === written);
    if (found === undefined) {
      const known = keys.map(({ key }) => key);
      const hint = didYouMean(written, known) || `; there are ${known.join(", ")}`;
      throw new UsageError(`--set ${set}: unknown key ${written}${hint}`);
    }
    values[found.prefix]![found.name] = parseKnob(groups[found.prefix]![found.name]!, text, `--set ${set}`);
  }
  return values;
}

function parseKnob(knob: Knob, text: string, where: string): KnobValue {
  if (knob.kind === "boolean") {
    if (text === "true" || text === "false") return text === "true";
    throw new UsageError(`${where}: expected true or false`);
  }
  if (knob.kind === "choice") {
    if (Object.hasOwn(knob.options, text)) return text;
    const options = Object.keys(knob.options);
    throw new UsageError(`${where}: expected one of ${options.join(", ")}${didYouMean(text, options)}`);
  }
  const value = text.trim() === "" ? Number.NaN : Number(text);
  const { minimum, maximum = Number.POSITIVE_INFINITY } = knob;
  const isWhole = knob.kind === "number" && knob.whole === true;
  if (Number.isFinite(value) && value >= minimum && value <= maximum && !(isWhole && !Number.isInteger(value)))
    return value;
  const range = maximum === Number.POSITIVE_INFINITY ? `${minimum} or more` : `from ${minimum} to ${maximum}`;
  throw new UsageError(`${where}: expected a ${isWhole ? "whole " : ""}number, ${range}`);
}

/** One of the names of a table. @throws UsageError with the closest name */
export function nameIn<Table extends object>(what: string, name: string, table: Table): keyof Table & string {
  if (Object.hasOwn(table, name)) return name as keyof Table & string;
  const names = Object.keys(table);
  throw new UsageError(`there is no ${what} "${name}"${didYouMean(name, names) || `; there are ${names.join(", ")}`}`);
}
