import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { parquetReadObjects } from "hyparquet";
import { readCsv } from "../../src/output/csv.ts";
import { parquetOf, writeCombined, writeParquet } from "../../src/output/parquet.ts";
import { usualShape, writeFakeRun } from "./fake-run.ts";
import { scratchDirectory } from "./scratch.ts";

const readBack = (bytes: Uint8Array) => parquetReadObjects({ file: Uint8Array.from(bytes).buffer });

describe("output/parquet", () => {
  const scratch = scratchDirectory();

  it("holds the cells of every CSV file: numbers as numbers, absent ones as nulls", async () => {
    const directory = scratch();
    writeFakeRun(directory, ["topk", "moge"], { ...usualShape, steps: 30 });
    await writeParquet(directory);
    for (const name of ["steps", "layers", "expert-load", "device-load", "validation", "summary"]) {
      const rows = readCsv(join(directory, `${name}.csv`));
      const read = await readBack(readFileSync(join(directory, `${name}.parquet`)));
      expect(rows.length).to.be.above(0);
      const expected = rows.map((row) =>
        Object.fromEntries(
          Object.entries(row).map(([column, cell]) => [
            column,
            cell === "" ? null : Number.isFinite(Number(cell)) ? Number(cell) : cell,
          ]),
        ),
      );
      expect(read, name).to.deep.equal(expected);
    }
  });

  it("puts tables below one another, each column of the type that holds all of it, absent where a table lacks it", async () => {
    const path = join(scratch(), "all.parquet");
    const tables = [
      [{ a: "1", b: "x" }],
      [],
      [
        { a: "0.5", c: "" },
        { a: "2", c: "7" },
      ],
    ];
    await writeCombined(
      path,
      tables.map((rows) => () => rows as never),
    );
    expect(await readBack(readFileSync(path))).to.deep.equal([
      { a: 1, b: "x", c: null },
      { a: 0.5, b: null, c: null },
      { a: 2, b: null, c: 7 },
    ]);
  });

  it("keeps a column as text as soon as one cell is none", async () => {
    expect(await readBack(await parquetOf([{ a: "1" }, { a: "x" }, { a: "" }]))).to.deep.equal([
      { a: "1" },
      { a: "x" },
      { a: null },
    ]);
  });
});
