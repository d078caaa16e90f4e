/** Writes what the documentation takes from the code: the JSON Schema of configs and the columns of the CSV files. */
import { configJsonSchema } from "../src/config/resolve.ts";
import { writeWhole } from "../src/host/whole-file.ts";
import { columnDocumentation } from "../src/output/column-documentation.ts";

/** Path → content; a test holds the files to it. */
export const generatedFiles = {
  "configs/moge.schema.json": `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
  "docs/columns.md": `# The CSV files of a run

Every file is plain CSV with a header line; an empty cell means that the quantity does not exist there. Units are in the
column names or in the second column below. Columns that start with \`simulated_\` are predictions of the cost model, not
measurements. This page is written by \`npm run docs\` from the table that writes the files.

${columnDocumentation(2)}`,
};

if (import.meta.filename === process.argv[1]) {
  for (const [path, content] of Object.entries(generatedFiles)) writeWhole(path, content);
}
