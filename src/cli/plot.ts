/** `moge plot`: a figure of CSV files, as SVG and PNG and with the data that it shows. */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { CommandModule } from "yargs";
import { UsageError } from "./failure.ts";

interface Arguments {
  files: string[];
  x?: string;
  y?: string;
  by?: string;
  spec?: string;
  out: string;
}

export const plotCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("files", { type: "string", array: true, demandOption: true, describe: "CSV files of results" })
      .option("x", { type: "string", requiresArg: true, describe: "column across, --x" })
      .option("y", { type: "string", requiresArg: true, describe: "column up, of numbers, --y" })
      .option("by", { type: "string", requiresArg: true, describe: "column that tells lines apart, such as variant" })
      .option("spec", {
        type: "string",
        requiresArg: true,
        describe: "a Vega-Lite specification, JSON or YAML; the rows are its data",
      })
      .option("out", {
        type: "string",
        default: "plot",
        requiresArg: true,
        describe: "path of the files, without .svg",
      }),
  handler: async ({ files, x, y, by, spec, out }) => {
    const rows = await rowsOf(files);
    const [
      { plottedRows, plotSpecification, typedRows },
      { writeFigure },
      { csvText },
      { writeWhole },
      { makeFolders },
    ] = await Promise.all([
      import("../output/plot.ts"),
      import("../output/figures/render.ts"),
      import("../output/csv-text.ts"),
      import("../host/whole-file.ts"),
      import("../run/directory.ts"),
    ]);
    const typed = typedRows(rows);
    const columns = Object.keys(typed[0] ?? {});
    let shown = typed;
    let specification: object;
    if (spec !== undefined) {
      if (x !== undefined || y !== undefined || by !== undefined)
        throw new UsageError("--spec says what is drawn: leave out --x, --y and --by");
      specification = { ...(await readSpec(spec)), data: { values: typed } };
    } else {
      if (x === undefined || y === undefined)
        throw new UsageError(`say what to draw: --x and --y, of the columns ${columns.join(", ")}`);
      for (const [flag, column] of Object.entries({ x, y, by })) await assertColumn(flag, column, columns);
      shown = plottedRows(typed, { x, y, by });
      if (shown.length === 0) throw new UsageError(`--y ${y}: holds no number beside a value of ${x}`);
      specification = plotSpecification(shown, { x, y, by });
    }
    const [folder, name] = [dirname(out), basename(out).replace(/\.(svg|png|csv)$/, "")];
    makeFolders(folder);
    try {
      await writeFigure(folder, name, specification as never);
    } catch (error) {
      if (spec === undefined) throw error;
      throw new UsageError(`${spec}: ${(error as Error).message.split("\n")[0]}`);
    }
    const header = Object.keys(shown[0] ?? {});
    writeWhole(
      join(folder, `${name}.csv`),
      csvText([header, ...shown.map((row) => header.map((column) => row[column]))]),
    );
    process.stderr.write(`${join(folder, name)}.svg, .png and .csv\n`);
  },
};

/** Of all files, with a column that says which, where there are several. */
async function rowsOf(files: readonly string[]) {
  const { readCsv } = await import("../output/csv.ts");
  const rows = files.flatMap((file) => {
    if (!existsSync(file)) throw new UsageError(`${file}: there is no such file`);
    try {
      return readCsv(file).map((row) => (files.length > 1 ? { ...row, file } : row));
    } catch (error) {
      throw new UsageError(`${file}: not a CSV file with a header: ${(error as Error).message.split("\n")[0]}`);
    }
  });
  if (rows.length === 0) throw new UsageError(`${files.join(", ")}: no rows to draw`);
  return rows;
}

async function assertColumn(flag: string, column: string | undefined, columns: readonly string[]): Promise<void> {
  if (column === undefined || columns.includes(column)) return;
  const { didYouMean } = await import("../config/problem.ts");
  throw new UsageError(
    `--${flag} ${column}: no such column${didYouMean(column, columns)}; there are ${columns.join(", ")}`,
  );
}

async function readSpec(path: string): Promise<object> {
  const { parse } = await import("yaml");
  let value: unknown;
  try {
    value = parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`--spec ${path}: ${(error as Error).message.split("\n")[0]}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new UsageError(`--spec ${path}: expected a Vega-Lite specification, keys and values`);
}
