/**
 * Reads text for training: built-in domains from the installed packages, checked against the table of
 * data/text-domains.ts, and a user's own files. What is done with the bytes is not decided here.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { DataError } from "../data/source.ts";
import { firstBytes, type NamedText } from "../data/text.ts";
import {
  LARGEST_DOMAIN_BYTES,
  type PackagedText,
  type TextDomain,
  type TextDomainName,
  textDomains,
} from "../data/text-domains.ts";

const requireFromHere = createRequire(import.meta.url);

/** The beginning of a built-in domain. */
interface Beginning {
  readonly name: TextDomainName;
  readonly bytes?: number | undefined;
}

/** A text file, or a folder of them, that the user names. */
interface OwnText {
  readonly name: string;
  /** From the base directory. */
  readonly path: string;
  /** Only so many, from the beginning. */
  readonly bytes?: number | undefined;
  /** Of the bytes that are left. */
  readonly sha256?: string | undefined;
}

/**
 * The bytes of a domain, read now.
 * @throws DataError if they are missing, empty, unreadable or not those expected
 */
export function readDomain(domain: TextDomainName | Beginning | OwnText, baseDirectory: string): NamedText {
  if (typeof domain === "string") return { name: domain, bytes: readBuiltIn(domain) };
  if ("path" in domain) return readOwnText(domain, baseDirectory);
  return { name: domain.name, bytes: firstBytes(readBuiltIn(domain.name), domain.bytes) };
}

function readBuiltIn(name: TextDomainName): Uint8Array {
  const entry: TextDomain = textDomains[name];
  if ("generate" in entry) return new TextEncoder().encode(entry.generate());
  return readPackagedText(name, entry, packageFolder(name, entry));
}

/** The text of a package's files, checked, decoded and cut to size, as UTF-8. @param folder of the package */
export function readPackagedText(name: string, entry: PackagedText, folder: string): Uint8Array {
  const files = entry.files.map((file) => {
    const path = join(folder, file);
    return attempt(name, path, "run npm ci", () => readFileSync(path));
  });
  const bytes = Buffer.concat(files);
  const sha256 = sha256Of(bytes);
  if (sha256 !== entry.sha256) {
    throw new DataError(
      `domain ${name}: ${files.length > 1 ? "the files" : entry.files[0]} in ${folder} are not those of ` +
        `${entry.package} ${entry.version} (sha256 ${sha256}, expected ${entry.sha256}); run npm ci`,
    );
  }
  const text = entry.decode(new TextDecoder().decode(bytes));
  return firstBytes(new TextEncoder().encode(text), LARGEST_DOMAIN_BYTES);
}

function packageFolder(name: string, entry: PackagedText): string {
  try {
    return dirname(requireFromHere.resolve(`${entry.package}/package.json`));
  } catch {
    throw new DataError(`domain ${name}: the package ${entry.package} ${entry.version} is not installed; run npm ci`);
  }
}

/** One file, or all text files below a folder by order of their paths; hidden and binary files are left out. */
function readOwnText({ name, path, bytes: wanted, sha256 }: OwnText, baseDirectory: string): NamedText {
  const place = resolve(baseDirectory, path);
  const advice = "check its path in data.domains";
  const read = <T>(from: string, operation: () => T) => attempt(name, from, advice, operation);
  const status = read(place, () => statSync(place));
  if (!status.isFile() && !status.isDirectory()) {
    throw new DataError(`domain ${name}: ${place} is neither a file nor a folder; ${advice}`);
  }
  const files = status.isFile() ? [place] : read(place, () => filesBelow(place)).map((file) => join(place, file));
  const texts = files.map((file) => read(file, () => readFileSync(file))).filter((bytes) => !bytes.includes(0));
  const bytes = firstBytes(Buffer.concat(texts), wanted);
  if (bytes.length === 0) {
    const what = status.isFile() ? "is empty or binary" : "holds no text (hidden, binary and empty files do not count)";
    throw new DataError(`domain ${name}: ${place} ${what}; name a text file or a folder of them`);
  }
  if (sha256 !== undefined && sha256 !== sha256Of(bytes)) {
    throw new DataError(
      `domain ${name}: ${place} is another text than the config was written for (sha256 ${sha256Of(bytes)}, expected ` +
        `${sha256}); ${advice}, or take its sha256 out to train on this text`,
    );
  }
  return { name, bytes };
}

const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

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
