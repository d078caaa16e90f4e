/** A report as one HTML file that needs nothing else: no network, no other file. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Row } from "../../experiment/experiment.ts";
import { packageDirectory } from "../../host/package-directory.ts";
import { cellText } from "../csv-text.ts";
import type { CheckedClaim } from "../experiment-report.ts";
import { escaped } from "./escaped.ts";
import { parallelCoordinates } from "./parallel-coordinates.ts";
import { reportStyle } from "./style.ts";

export interface ReportFigure {
  readonly name: string;
  readonly description: string;
  /** As it is drawn for its own file. */
  readonly svg: string;
  /** What it shows, and the file beside the page that has it. */
  readonly csv?: { readonly file: string; readonly text: string };
}

export interface Report {
  readonly title: string;
  readonly question: string;
  readonly method: readonly string[];
  readonly claims: readonly CheckedClaim[];
  readonly figures: readonly ReportFigure[];
  /** One a run; the column `run`, where there is one, is what figures know it by. */
  readonly rows: readonly Row[];
  /** Columns for the parallel coordinates, and the one that colours. */
  readonly compared: readonly string[];
  readonly by: string;
  readonly config: string;
  readonly command: string;
}

/** Inside a script element only its end tag must not appear. */
const insideScript = (text: string): string => text.replaceAll("</", "<\\/");

/** @throws Error when the page's script is not built */
export function reportPage(report: Report): string {
  const coordinates = parallelCoordinates(report.rows, report.compared, report.by);
  const sections = [
    `<h1>${escaped(report.title)}</h1>\n<p class="question">${escaped(report.question)}</p>`,
    report.claims.length > 0 ? section("Claims", claimList(report.claims)) : "",
    section("Figures", report.figures.map(figureHtml).join("\n")),
    coordinates === undefined ? "" : section("All runs at once", coordinatesHtml(coordinates, report.by)),
    report.rows.length > 0 ? section("Runs", tableHtml(report.rows)) : "",
    report.method.length > 0
      ? section("Method and limits", report.method.map((text) => `<p>${escaped(text)}</p>`).join("\n"))
      : "",
    section(
      "To reproduce",
      `<p>The same command gives the same figures, byte for byte.</p>${copied("command", report.command)}`,
    ),
    section("Configuration", copied("config", report.config)),
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:">
<link rel="icon" href="data:,">
<title>${escaped(report.title)} · moge</title>
<style>${reportStyle}${printedColumns(report)}</style>
</head>
<body>
<main>
${sections.filter((each) => each !== "").join("\n")}
<p class="note">Written by moge. Figures called simulated come from a model of the hardware, not from a measurement on it.</p>
</main>
<script type="module">${insideScript(pageScript())}</script>
</body>
</html>
`;
}

const section = (title: string, content: string): string => {
  const id = title.toLowerCase().replaceAll(" ", "-");
  return `<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>\n${content}\n</section>`;
};

const claimList = (claims: readonly CheckedClaim[]): string => {
  const items = claims.map(({ text, holds, found }) => {
    const mark = `<span class="mark" role="img" aria-label="${holds ? "holds" : "does not hold"}">${holds ? "✓" : "✗"}</span>`;
    const numbers = found === undefined ? "" : `<span class="found">${escaped(found)}</span>`;
    return `<li class="${holds ? "holds" : "fails"}">${mark}${escaped(text)}${numbers}</li>`;
  });
  return `<ul class="claims">\n${items.join("\n")}\n</ul>`;
};

function figureHtml({ name, description, svg, csv }: ReportFigure): string {
  const saves = ["svg", "png", ...(csv ? ["csv"] : [])]
    .map(
      (kind) =>
        `<button type="button" class="save" data-kind="${kind}" aria-label="Save ${escaped(name)} as ${kind.toUpperCase()}">${kind.toUpperCase()}</button>`,
    )
    .join("");
  const data = csv ? `<script type="text/csv" data-file="${escaped(csv.file)}">${insideScript(csv.text)}</script>` : "";
  const source = csv ? ` (rows: ${escaped(csv.file)})` : "";
  return `<figure id="${escaped(name)}">
<div class="scroll" tabindex="0" role="group" aria-label="${escaped(description)}">${inlineSvg(svg, description, name)}</div>
<figcaption>${escaped(description)}${source}<span class="tools">${saves}</span></figcaption>${data}
</figure>`;
}

/**
 * One picture with one description; marks of runs say which they are. Numbers of clip paths and gradients are made
 * the figure's own: several figures share the page.
 */
function inlineSvg(svg: string, description: string, name: string): string {
  return svg
    .replace(/<\?xml[^>]*>|<!DOCTYPE[^>]*>/g, "")
    .replace(/ aria-label="run: ([^"]*)"/g, ' data-run="$1"')
    .replace(/ (?:role|aria-[a-z]+)="[^"]*"/g, "")
    .replace(/ id="([^"]+)"/g, ` id="${name}-$1"`)
    .replace(/url\(#([^)]+)\)/g, `url(#${name}-$1)`)
    .replace(/ class="[^"]*"/g, "")
    .replace("<svg", `<svg role="img" aria-label="${escaped(description)}"`)
    .trim();
}

const coordinatesHtml = (svg: string, by: string): string =>
  `<p class="soft">A line a run, coloured by ${escaped(by)}. A run under the pointer is marked here, in the figures and in the table; filters of the table hide its lines.</p>
<figure id="parallel-coordinates"><div class="scroll" tabindex="0" role="group" aria-label="Parallel coordinates">${svg}</div></figure>`;

/** Columns that fit on paper. */
const MOST_PRINTED = 11;

/** On paper the table has the columns that name a run and those that are compared. */
function printedColumns({ rows, compared }: Report): string {
  const columns = Object.keys(rows[0] ?? {});
  const named = columns.filter((column) => ["run", "seed"].includes(column) || compared.includes(column));
  const printed = new Set((compared.length > 0 ? named : columns).slice(0, MOST_PRINTED));
  const others = columns.flatMap((column, i) => (printed.has(column) ? [] : [`:nth-child(${i + 1})`]));
  return others.length === 0 ? "" : `@media print { .runs :is(th, td):is(${others.join(", ")}) { display: none } }\n`;
}

function tableHtml(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0]!);
  const kind = (column: string) => (rows.some((row) => typeof row[column] === "string") ? "text" : "number");
  const heads = columns.map((column) => {
    const simulated = column.startsWith("simulated_");
    const label = column.replace(/^simulated_/, "").replaceAll("_", " ");
    const note = simulated ? '<span class="unit">simulated</span>' : "";
    return `<th scope="col" class="${kind(column)}" data-kind="${kind(column)}"><button type="button">${escaped(label)}</button>${note}<input type="text" aria-label="Filter ${escaped(column)}" autocomplete="off"></th>`;
  });
  const body = rows.map((row) => {
    const cells = columns.map((column) => {
      const value = row[column];
      if (typeof value !== "number") return `<td class="${kind(column)}">${escaped(value ?? "")}</td>`;
      return `<td data-value="${cellText(value)}">${escaped(shown(value))}</td>`;
    });
    return `<tr data-run="${escaped(String(row["run"] ?? row[columns[0]!]))}">${cells.join("")}</tr>`;
  });
  return `<p class="soft tools">Sort by a column’s name. Filters take text, or for numbers &gt; 0.5, &lt;= 3, 1..2. <span class="shown" role="status">${rows.length} shown</span></p>
<p class="soft printed">The columns that are compared; the page on a screen and the CSV file have all.</p>
<div class="scroll table" tabindex="0" role="group" aria-label="Table of runs"><table class="runs"><caption>One row a run; empty cells do not exist for it.</caption>
<thead><tr>${heads.join("")}</tr></thead>
<tbody>
${body.join("\n")}
</tbody></table></div>`;
}

const shown = (value: number): string =>
  Number.isInteger(value)
    ? String(value)
    : Math.abs(value) >= 1000
      ? value.toFixed(1)
      : String(Number(value.toPrecision(4)));

const copied = (id: string, text: string): string =>
  `<div class="tools"><button type="button" class="copy" data-source="${id}">Copy</button></div><pre id="${id}" tabindex="0">${escaped(text)}</pre>`;

let script: string | undefined;

/** Compiled, from `dist/`, whether this file is or not. */
function pageScript(): string {
  const path = join(packageDirectory(), "dist", "src", "output", "page", "report.js");
  try {
    script ??= readFileSync(path, "utf8");
  } catch {
    throw new Error(`${path} is missing; run npm run build`);
  }
  return script;
}
