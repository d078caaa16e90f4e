/** Runs folders of golden cases through the project's own functions and says which agree. The adapters know the families. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { compare, nineDigits, thirteenDigits } from "./compare.ts";
import { families } from "./families.ts";
import { type Adapter, type GoldenCase, type Produced, readCase } from "./golden-case.ts";

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
  /** "family: feature" → cases */
  readonly skips = new Map<string, number>();
  /** "family: field (feature)" → cases */
  readonly unchecked = new Map<string, number>();
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
      ...[...tally.unchecked].map(([what, count]) => `not checked: ${what} in ${cases(count)} that passed otherwise`),
      ...[...tally.skips].map(([what, count]) => `skipped: ${what}, ${cases(count)}`),
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
    if (values.length > 0) count(tally.skips, `family ${family} (not built yet)`, values.length);
    return;
  }
  values.forEach((value, index) => {
    const failure = runCase(adapter, family, value, index, tally);
    if (failure !== undefined) tally.failures.push(`${file}: ${failure}`);
  });
}

/** @returns what is wrong, or undefined when the case passed or was skipped */
function runCase(adapter: Adapter, family: string, value: unknown, index: number, tally: Tally): string | undefined {
  let golden: GoldenCase | undefined;
  try {
    golden = readCase(value, index);
    const answer = adapter(golden);
    if ("skip" in answer) {
      count(tally.skips, `${family}: ${answer.skip}`);
      return undefined;
    }
    const unbuilt = answer.unbuilt ?? {};
    const fields = Object.keys(golden.expected);
    const checked = fields.filter((field) => !(field in unbuilt));
    if (checked.length === 0) {
      if (fields.length === 0) return `${golden.name}: malformed: expects nothing`;
      count(tally.skips, `${family}: ${unbuilt[fields[0]!]}`);
      return undefined;
    }
    const complaint = firstComplaint(golden, answer.fields, checked);
    if (complaint !== undefined) return `${golden.name}: ${complaint}`;
    for (const field of fields) if (field in unbuilt) count(tally.unchecked, `${family}: ${field} (${unbuilt[field]})`);
    tally.passed++;
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    return golden === undefined ? message : `${golden.name}: ${message}`;
  }
}

function firstComplaint(
  golden: GoldenCase,
  got: Readonly<Record<string, Produced | undefined>>,
  fields: string[],
): string | undefined {
  const tolerance = golden.nineDigits ? nineDigits : thirteenDigits;
  for (const field of fields) {
    const complaint = compare(field, got[field], golden.expected[field]!, golden.expected_f64[field], tolerance);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

function count(counts: Map<string, number>, what: string, by = 1): void {
  counts.set(what, (counts.get(what) ?? 0) + by);
}

const cases = (number: number) => `${number} ${number === 1 ? "case" : "cases"}`;
