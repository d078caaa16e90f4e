/** SQL over the CSV files of all results, by DuckDB where its package is installed. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { findResults } from "./find-runs.ts";

/** Optional: it is large. The type is `string` so that nothing needs it to be there. */
const PACKAGE: string = "@duckdb/node-api";

export interface Answer {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

interface Duck {
  DuckDBInstance: {
    create(path: string): Promise<{
      connect(): Promise<{
        run(sql: string): Promise<unknown>;
        runAndReadAll(sql: string): Promise<{ columnNames(): string[]; getRowsJson(): unknown[][] }>;
        closeSync(): void;
      }>;
    }>;
  };
}

/** A statement without an answer, in one line: no package, no results, or what DuckDB has against it. */
export class QueryError extends Error {
  override readonly name = "QueryError";
}

/** Files of runs, by the name of their table. */
const runFiles: Readonly<Record<string, string>> = {
  summary: "summary.csv",
  steps: "steps.csv",
  layers: "layers.csv",
  expert_load: "expert-load.csv",
  device_load: "device-load.csv",
  validation: "validation.csv",
  saturation: "saturation.csv",
  probe: "probe.csv",
  probe_experts: "probe-experts.csv",
  probe_pairs: "probe-pairs.csv",
};

/**
 * Answers a statement about the tables `runs` (runs.csv of every sweep) and `summary`, `steps`, `layers`, … of all runs,
 * each with the columns `result` and `run`.
 * @throws QueryError
 */
export async function query(results: string, sql: string): Promise<Answer> {
  let duck: Duck;
  try {
    duck = (await import(PACKAGE)) as Duck;
  } catch {
    throw new QueryError(`moge query needs DuckDB, which is not installed; npm install ${PACKAGE}`);
  }
  const tables = tablesOf(results);
  if (tables.length === 0)
    throw new QueryError(`${results} holds no results to ask about; choose a folder with --results`);
  const connection = await (await duck.DuckDBInstance.create(":memory:")).connect();
  try {
    for (const { name, files } of tables) await connection.run(viewOf(name, files));
    const answer = await connection.runAndReadAll(sql);
    return { columns: answer.columnNames(), rows: answer.getRowsJson() };
  } catch (error) {
    const line = (error as Error).message
      .split("\n")
      .filter((each) => each.trim() !== "" && !/^LINE|\^/.test(each))
      .join(" ");
    throw new QueryError(`${line} (tables: ${tables.map(({ name }) => name).join(", ")})`);
  } finally {
    connection.closeSync();
  }
}

function tablesOf(results: string): { name: string; files: string[] }[] {
  const found = findResults(results).filter(({ complete }) => complete);
  const folders = found.flatMap(({ directory, kind }) => {
    if (kind !== "sweep") return [directory];
    const runs = join(directory, "runs");
    if (!existsSync(runs)) return [];
    return readdirSync(runs)
      .filter((name) => /^[0-9a-f]{12}$/.test(name))
      .map((name) => join(runs, name));
  });
  const tables = Object.entries(runFiles).map(([name, file]) => ({
    name,
    files: folders.map((folder) => join(folder, file)),
  }));
  const sweeps = { name: "runs", files: found.map(({ directory }) => join(directory, "runs.csv")) };
  return [sweeps, ...tables]
    .map(({ name, files }) => ({ name, files: files.filter((file) => existsSync(file)) }))
    .filter(({ files }) => files.length > 0);
}

/** `result` is the folder below the results, `run` that of the run; a table that has a column `run` keeps its own. */
function viewOf(name: string, files: readonly string[]): string {
  const list = files.map((file) => `'${file.replaceAll("'", "''")}'`).join(", ");
  const path = "string_split(replace(filename, '\\', '/'), '/')";
  const result =
    name === "runs" ? `${path}[-2]` : `CASE WHEN ${path}[-3] = 'runs' THEN ${path}[-4] ELSE ${path}[-2] END`;
  const run = name === "runs" ? "" : `, ${path}[-2] AS run`;
  return `CREATE VIEW ${name} AS SELECT ${result} AS result${run}, * EXCLUDE (filename) FROM read_csv([${list}], union_by_name = true, filename = true, header = true, sample_size = -1)`;
}
