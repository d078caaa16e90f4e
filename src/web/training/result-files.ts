/** The CSV files of a training, as `moge run` writes them: the same tables, the same text. */

import { stepTables } from "../../output/columns.ts";
import { csvText } from "../../output/csv-text.ts";
import type { Progress } from "./session.ts";

/** By file name. Files that look back on the whole run are complete when it is. */
export function resultFiles(models: readonly Progress[]): Record<string, string> {
  return Object.fromEntries(
    Object.entries(stepTables).map(([name, table]) => {
      const rows = models.flatMap(({ arm, steps }) => steps.flatMap((step) => table.cells(arm, step)));
      return [name, csvText([Object.keys(table.columns), ...rows])];
    }),
  );
}
