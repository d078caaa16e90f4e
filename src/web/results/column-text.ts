/** What the project's tables say of a column. The small page does without. */
import { type ColumnText, stepTables } from "../../output/columns.ts";
import { probeTables } from "../../output/probe-columns.ts";
import type { Phrase } from "../phrase.ts";
import { chineseColumns, chineseUnits } from "./chinese-columns.ts";

export interface ColumnPhrases {
  readonly unit: Phrase;
  /** Empty where there is none in that language. */
  readonly description: Phrase;
}

export function columnText(column: string): ColumnPhrases | undefined {
  const tables: Readonly<Record<string, { readonly columns: Readonly<Record<string, ColumnText>> }>> = {
    ...stepTables,
    ...probeTables,
  };
  const found = Object.values(tables).find(({ columns }) => Object.hasOwn(columns, column))?.columns[column];
  if (found === undefined) return undefined;
  return {
    unit: { en: found.unit, zh: chineseUnits[found.unit] ?? found.unit },
    description: { en: found.description, zh: chineseColumns[column] ?? "" },
  };
}
