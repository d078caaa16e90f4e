/**
 * Writes what the documentation takes from the code: the JSON Schemas of configs, the columns of the CSV files, the
 * tables of routers, rules and metrics, and the README's table of published figures beside the model's.
 */
import { readFileSync } from "node:fs";
import * as z from "zod/mini";
import { costSchema } from "../src/config/cost-schema.ts";
import { configJsonSchema } from "../src/config/resolve.ts";
import { writeWhole } from "../src/host/whole-file.ts";
import { metricSections, routerSections, ruleSections } from "../src/output/catalogue.ts";
import { sectionsMarkdown } from "../src/output/catalogue-text.ts";
import { columnDocumentation } from "../src/output/column-documentation.ts";
import { presetDifferences } from "../src/output/preset-differences.ts";
import { validationMarkdown } from "../src/output/validation-report.ts";
import { validate } from "../src/validation/validation.ts";

/** Path → content; a test holds the files to it. */
export const generatedFiles = {
  "configs/cost.schema.json": `${JSON.stringify({ title: "moge cost config", ...z.toJSONSchema(costSchema, { io: "input" }) }, null, 2)}\n`,
  "configs/moge.schema.json": `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
  "docs/columns.md": `# The CSV files of a run

Every file is plain CSV with a header line; an empty cell means that the quantity does not exist there. Units are in the
column names or in the second column below. Columns that start with \`simulated_\` are predictions of the cost model, not
measurements. This page is written by \`npm run docs\` from the table that writes the files.

${columnDocumentation(2)}`,
  "docs/routers.md": `# Routers, balancing rules and capacity

Where two published implementations differ, the difference is a setting and each source has a preset. The same is printed
by \`moge routers\` and \`moge rules\`, and for one entry by \`moge routers NAME\`. \`moge route --router NAME FILE
--explain 0\` shows what a router makes of your own logits, step by step. This page is written by \`npm run docs\` from the
tables that route.

N experts, K of them for a token, T tokens in a batch, M groups of N/M neighbouring experts, D devices.

${sectionsMarkdown(routerSections())}
## What the presets differ in

Only settings in which presets of one router differ are shown.

${presetDifferences()}
${sectionsMarkdown(ruleSections())}`,
  "docs/metrics.md": `# Metrics

The field quarrels over "balancedness" because nobody says which; here every figure has its formula. The same is printed by
\`moge metrics\`; \`moge metrics --of FILE\` measures a recorded routing with all that apply. Metrics relative to a mean are
not a number, and an empty cell, where nothing is compared. This page is written by \`npm run docs\` from the tables that
measure.

T tokens, N experts, K of them for a token, D devices; n is N or D; load_i is the number of assignments of expert or
device i in a batch.

${sectionsMarkdown(metricSections())}`,
};

/** Between these the README has the table of `moge validate`. */
const markers = ["<!-- validation -->", "<!-- /validation -->"] as const;

function readmeWithValidation(): string {
  const readme = readFileSync("README.md", "utf8");
  const [from, to] = markers.map((marker) => readme.indexOf(marker)) as [number, number];
  if (from < 0 || to < from) throw new Error(`README.md: ${markers.join(" … ")} is missing`);
  return `${readme.slice(0, from + markers[0].length)}\n\n${validationMarkdown(validate())}\n\n${readme.slice(to)}`;
}

if (import.meta.filename === process.argv[1]) {
  for (const [path, content] of Object.entries(generatedFiles)) writeWhole(path, content);
  writeWhole("README.md", readmeWithValidation());
}
