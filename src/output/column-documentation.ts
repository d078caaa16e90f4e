/** Renders the table of CSV columns as Markdown, for the documentation. */
import { type ColumnText, stepTables } from "./columns.ts";
import { probeTables } from "./probe-columns.ts";
import { summaryColumns, summaryDescription } from "./summary-rows.ts";

/** Every CSV file of a run with its columns. */
export const csvFiles: Readonly<
  Record<string, { description: string; columns: Readonly<Record<string, ColumnText>> }>
> = {
  ...stepTables,
  ...probeTables,
  "summary.csv": { description: summaryDescription, columns: summaryColumns },
};

/** @param level of the files' headings */
export function columnDocumentation(level = 3): string {
  return Object.entries(csvFiles)
    .map(([name, { description, columns }]) => {
      const rows = Object.entries(columns).map(([column, text]) => `| \`${column}\` | ${text.unit} | ${cell(text)} |`);
      return [
        `${"#".repeat(level)} ${name}`,
        "",
        description,
        "",
        "| column | unit | meaning |",
        "|---|---|---|",
        ...rows,
      ].join("\n");
    })
    .join("\n\n")
    .concat("\n");
}

/** A bar inside a formula would end the cell. */
const cell = ({ description }: ColumnText): string => description.replaceAll("|", "\\|");
