/** Runs folders of golden cases through the project's own functions and says which agree. The adapters know the families. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { compare, nineDigits, thirteenDigits } from "./compare.ts";
import { families } from "./families.ts";
import { type Adapter, type Answer, type GoldenCase, readCase } from "./golden-case.ts";

export interface GoldenResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What a person reads: failures, what was not checked and why, and the counts as the last line. */
  readonly lines: readonly string[];
}

/** The folder cannot be read or holds no case files. */
export class NoGoldenFiles extends Error {}

class Tally {
  passed = 0;
  readonly failures: string[] = [];
  /** family → cases */
  readonly skips = new Map<string, number>();
}

/** Runs every *.json file of a folder. @throws NoGoldenFiles */
export function runFolder(folder: string): GoldenResult {
  const tally = new Tally();
  for (const file of caseFiles(folder)) runFile(folder, file, tally);
  const skipped = [...tally.skips.values()].reduce((sum, count) => sum + count, 0);
  const { passed, failures } = tally;
  return {
    passed,
    failed: failures.length,
    skipped,
    lines: [
      ...failures.map((failure) => `FAILED ${failure}`),
      ...[...tally.skips].map(
        ([family, count]) => `skipped: family ${family}, which no adapter knows, ${cases(count)}`,
      ),
      `${passed} passed, ${failures.length} failed, ${skipped} skipped`,
    ],
  };
}

function caseFiles(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "ENOTDIR" ? "is not a folder" : "cannot be read";
    throw new NoGoldenFiles(`${folder}: ${reason}; expected a folder of golden *.json files`);
  }
  const files = names.filter((name) => name.endsWith(".json")).sort();
  if (files.length === 0) throw new NoGoldenFiles(`${folder}: holds no *.json file; expected a folder of golden cases`);
  return files;
}

function runFile(folder: string, file: string, tally: Tally): void {
  let family: string;
  let values: unknown[];
  try {
    const content: unknown = JSON.parse(readFileSync(join(folder, file), "utf8"));
    ({ family, cases: values } = content as { family: string; cases: unknown[] });
    if (typeof family !== "string" || !Array.isArray(values)) throw new Error("expected {family, cases: [...]}");
  } catch (error) {
    tally.failures.push(`${file}: malformed: ${(error as Error).message}`);
    return;
  }
  const adapter = Object.hasOwn(families, family) ? families[family as keyof typeof families] : undefined;
  if (adapter === undefined) {
    if (values.length > 0) tally.skips.set(family, (tally.skips.get(family) ?? 0) + values.length);
    return;
  }
  values.forEach((value, index) => {
    const failure = runCase(adapter, value, index);
    if (failure === undefined) tally.passed++;
    else tally.failures.push(`${file}: ${failure}`);
  });
}

/** @returns what is wrong, or undefined when the case passed */
function runCase(adapter: Adapter, value: unknown, index: number): string | undefined {
  let golden: GoldenCase | undefined;
  try {
    golden = readCase(value, index);
    if (Object.keys(golden.expected).length === 0) return `${golden.name}: malformed: expects nothing`;
    const complaint = firstComplaint(golden, adapter(golden));
    return complaint === undefined ? undefined : `${golden.name}: ${complaint}`;
  } catch (error) {
    const { message } = error as Error;
    return golden === undefined ? message : `${golden.name}: ${message}`;
  }
}

function firstComplaint(golden: GoldenCase, { fields, loosely = {} }: Answer): string | undefined {
  const tolerance = golden.nineDigits ? nineDigits : thirteenDigits;
  for (const [field, expected] of Object.entries(golden.expected)) {
    const single = loosely[field] ?? tolerance.single;
    const complaint = compare(field, fields[field], expected, golden.expected_f64[field], { ...tolerance, single });
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

const cases = (number: number) => `${number} ${number === 1 ? "case" : "cases"}`;
