/** What the project's tables say of a column. The small page does without. */
import { type ColumnText, stepTables } from "../../output/columns.ts";
import { probeTables } from "../../output/probe-columns.ts";

export function columnText(column: string): ColumnText | undefined {
  const tables: Readonly<Record<string, { readonly columns: Readonly<Record<string, ColumnText>> }>> = {
    ...stepTables,
    ...probeTables,
  };
  for (const { columns } of Object.values(tables)) if (Object.hasOwn(columns, column)) return columns[column];
  return undefined;
}
