/** The result that is open: one or more of its files. What cannot be read leaves it as it is. */
import { signal } from "@preact/signals";
import type { DroppedFile } from "../dropped.ts";
import { tell } from "../messages.ts";
import type { Phrase } from "../phrase.ts";
import { phraseOf } from "../refused.ts";
import { embeddedRun } from "./embedded.ts";
import { readTable, type Table } from "./table.ts";

export interface Result {
  readonly name: string;
  readonly tables: readonly Table[];
}

export const opened = signal<Result | undefined>(undefined);

/** More than any result has; a page that reads more stands still. */
const LARGEST_BYTES = 40e6;

/** Counts what was dropped: what is read late does not take the place of what was dropped after it. */
let drops = 0;

/**
 * Opens what was dropped: CSV files, or folders with some in them. Files of another kind are left out if there are others.
 * @returns whether something was opened
 */
export async function openFiles(files: readonly DroppedFile[]): Promise<boolean> {
  const found = topmost(files.filter(({ path }) => path.toLowerCase().endsWith(".csv")));
  const refuse = (phrases: readonly Phrase[]) => {
    tell(phrases);
    return false;
  };
  if (found.length === 0) return refuse([noCsv(files)]);
  const size = found.reduce((sum, { file }) => sum + file.size, 0);
  if (size > LARGEST_BYTES) return refuse([tooLarge(size)]);
  const own = ++drops;
  const texts = await Promise.all(found.map(async ({ path, file }) => [path, await file.text()] as const));
  return own === drops && openTexts(nameOf(files), texts);
}

/** @param texts of CSV files by their paths @returns whether something was opened */
export function openTexts(name: string, texts: readonly (readonly [path: string, text: string])[]): boolean {
  const problems: Phrase[] = [];
  const tables: Table[] = [];
  for (const [path, text] of texts) {
    try {
      tables.push(readTable(shortPath(path), text));
    } catch (error) {
      problems.push(phraseOf(error));
    }
  }
  tell(tables.length === 0 ? problems.slice(0, 3) : []);
  if (tables.length === 0) return false;
  opened.value = { name, tables };
  return true;
}

/** The run that the page was built with, if there is one. */
export function openEmbedded(): void {
  const run = opened.value === undefined ? embeddedRun() : undefined;
  if (run === undefined) return;
  openTexts(
    run.name,
    Object.entries(run.files).filter(([file]) => file.endsWith(".csv")),
  );
}

/** Of a folder, the files at its top; those of folders in it, such as a sweep's runs, only if it has none itself. */
function topmost(files: readonly DroppedFile[]): DroppedFile[] {
  const depth = ({ path }: DroppedFile) => path.split("/").length;
  const least = Math.min(...files.map(depth));
  return files.filter((file) => depth(file) === least).sort((a, b) => (a.path < b.path ? -1 : 1));
}

const nameOf = (files: readonly DroppedFile[]): string => files[0]!.path.split("/")[0]!;

const shortPath = (path: string): string => path.split("/").at(-1)!;

function noCsv(files: readonly DroppedFile[]): Phrase {
  const count = files.length;
  const [en, zh] = count === 1 ? [files[0]!.path, files[0]!.path] : [`${count} files`, `${count} 个文件`];
  return {
    en: `There is no CSV file in what was dropped (${en}). Drop a results/*.csv, or the folder of a run or a sweep. What was open stays.`,
    zh: `拖入的内容（${zh}）中没有 CSV 文件。请拖入 results/*.csv，或一次运行、一次扫描的文件夹。原有内容保留。`,
  };
}

const tooLarge = (size: number): Phrase => ({
  en: `${(size / 1e6).toFixed(0)} MB are too much for the page, which takes up to ${LARGEST_BYTES / 1e6}. moge plot and moge query take any size. What was open stays.`,
  zh: `${(size / 1e6).toFixed(0)} MB 超出本页上限 ${LARGEST_BYTES / 1e6} MB。moge plot 和 moge query 不限大小。原有内容保留。`,
});
