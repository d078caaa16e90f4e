/**
 * Reads text for training: built-in domains from the installed packages, checked against the table of
 * data/text-domains.ts, and a user's own files. What is done with the bytes is not decided here.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { DataError } from "../data/source.ts";
import type { NamedText } from "../data/text.ts";
import {
  LARGEST_DOMAIN_BYTES,
  type PackagedText,
  type TextDomain,
  type TextDomainName,
  textDomains,
} from "../data/text-domains.ts";

const requireFromHere = createRequire(import.meta.url);

/** A text file, or a folder of them, that the user names. */
export interface OwnText {
  readonly name: string;
  /** From the base directory. */
  readonly path: string;
}

/**
 * The bytes of a domain, read now.
 * @throws DataError if they are missing, empty, unreadable or not those expected
 */
export function readDomain(domain: TextDomainName | OwnText, baseDirectory: string): NamedText {
  if (typeof domain !== "string") return readOwnText(domain, baseDirectory);
  const entry: TextDomain = textDomains[domain];
  const bytes =
    "generate" in entry
      ? new TextEncoder().encode(entry.generate())
      : readPackagedText(domain, entry, packageFolder(domain, entry));
  return { name: domain, bytes };
}

/** The text of a package's files, checked, decoded and cut to size, as UTF-8. @param folder of the package */
export function readPackagedText(name: string, entry: PackagedText, folder: string): Uint8Array {
  const files = entry.files.map((file) => {
    const path = join(folder, file);
    return attempt(name, path, "run npm ci", () => readFileSync(path));
  });
  const bytes = Buffer.concat(files);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== entry.sha256) {
    throw new DataError(
      `domain ${name}: ${files.length > 1 ? "the files" : entry.files[0]} in ${folder} are not those of ` +
        `${entry.package} ${entry.version} (sha256 ${sha256}, expected ${entry.sha256}); run npm ci`,
    );
  }
  const text = entry.decode(new TextDecoder().decode(bytes));
  return cutText(new TextEncoder().encode(text), LARGEST_DOMAIN_BYTES);
}

function packageFolder(name: string, entry: PackagedText): string {
  try {
    return dirname(requireFromHere.resolve(`${entry.package}/package.json`));
  } catch {
    throw new DataError(`domain ${name}: the package ${entry.package} ${entry.version} is not installed; run npm ci`);
  }
}

/** At most `largest` bytes, ending with a whole character. */
function cutText(utf8: Uint8Array, largest: number): Uint8Array {
  if (utf8.length <= largest) return utf8;
  let end = largest;
  while ((utf8[end]! & 0b1100_0000) === 0b1000_0000) end--; // the byte after the cut must not continue a character
  return utf8.slice(0, end);
}

/** One file, or all text files below a folder by order of their paths; hidden and binary files are left out. */
function readOwnText({ name, path }: OwnText, baseDirectory: string): NamedText {
  const place = resolve(baseDirectory, path);
  const advice = "check its path in data.domains";
  const read = <T>(from: string, operation: () => T) => attempt(name, from, advice, operation);
  const status = read(place, () => statSync(place));
  if (!status.isFile() && !status.isDirectory()) {
    throw new DataError(`domain ${name}: ${place} is neither a file nor a folder; ${advice}`);
  }
  const files = status.isFile() ? [place] : read(place, () => filesBelow(place)).map((file) => join(place, file));
  const texts = files.map((file) => read(file, () => readFileSync(file))).filter((bytes) => !bytes.includes(0));
  const bytes = Buffer.concat(texts);
  if (bytes.length === 0) {
    const what = status.isFile() ? "is empty or binary" : "holds no text (hidden, binary and empty files do not count)";
    throw new DataError(`domain ${name}: ${place} ${what}; name a text file or a folder of them`);
  }
  return { name, bytes };
}

/** Paths of the regular files below a folder, "/" between their parts, sorted by code units. */
function filesBelow(folder: string): string[] {
  const walk = (below: string): string[] =>
    readdirSync(join(folder, below), { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith("."))
      .flatMap((entry) => {
        const path = `${below}${entry.name}`;
        if (entry.isDirectory()) return walk(`${path}/`);
        return entry.isFile() ? [path] : [];
      });
  return walk("").sort();
}

function attempt<T>(domain: string, path: string, advice: string, operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const missing = code === "ENOENT" || code === "ENOTDIR";
    throw new DataError(
      `domain ${domain}: ${path} ${missing ? "is missing" : `cannot be read (${code ?? message})`}; ${advice}`,
    );
  }
}
