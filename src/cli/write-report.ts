/** Where a report goes: to a person, to a program, or to files. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeWhole } from "../host/whole-file.ts";
import { UsageError } from "./failure.ts";

export interface ReportTarget {
  readonly json: boolean;
  readonly out?: string | undefined;
  readonly force: boolean;
}

/** A report in its three forms, each made when it is wanted. */
export interface Report {
  text(): string;
  json(): object;
  /** CSV by name of file. */
  files(): Readonly<Record<string, string>>;
}

/** @throws UsageError when files would be replaced without --force */
export function writeReport({ json, out, force }: ReportTarget, report: Report): void {
  if (out === undefined) {
    process.stdout.write(json ? jsonText(report.json()) : `${report.text()}\n`);
    return;
  }
  const files: Readonly<Record<string, string>> = out.endsWith(".json")
    ? { [out]: jsonText(report.json()) }
    : Object.fromEntries(Object.entries(report.files()).map(([name, text]) => [join(out, name), text]));
  const taken = Object.keys(files).find((path) => existsSync(path));
  if (taken !== undefined && !force) throw new UsageError(`--out: ${taken} is there already; --force replaces it`);
  try {
    if (!out.endsWith(".json")) mkdirSync(out, { recursive: true });
    for (const [path, text] of Object.entries(files)) writeWhole(path, text);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`--out ${out}: cannot be written (${code ?? message})`);
  }
  if (json) process.stdout.write(jsonText(report.json()));
  process.stderr.write(`written: ${Object.keys(files).join(", ")}\n`);
}

/** One file that a flag names. @throws UsageError if nothing can be written there */
export function writeTo(flag: string, file: string, text: string): void {
  try {
    writeWhole(file, text);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new UsageError(`--${flag}: cannot write ${file} (${code}); is there such a folder, and is it yours?`);
  }
}

/** JSON with a key a line, and a row of a matrix or an entry of a list a line. */
export function jsonText(value: object): string {
  const fields = Object.entries(value).flatMap(([key, field]: [string, unknown]) => {
    if (field === undefined) return [];
    const isList = Array.isArray(field) && field.some((entry) => typeof entry === "object");
    const text = isList
      ? `[\n${field.map((entry) => `    ${JSON.stringify(entry)}`).join(",\n")}\n  ]`
      : JSON.stringify(field);
    return [`  ${JSON.stringify(key)}: ${text}`];
  });
  return `{\n${fields.join(",\n")}\n}\n`;
}
