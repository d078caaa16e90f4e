/** The catalogue for a terminal and as Markdown. */
import type { Entry, KnobEntry, Section } from "./catalogue.ts";
import { wrapped } from "./plain-text.ts";

/** Every entry with its formula, or with what it does. */
export function sectionsText(sections: readonly Section[]): string {
  return sections
    .map(({ title, introduction, entries }) =>
      [
        title.toUpperCase(),
        ...wrapped(introduction),
        "",
        ...entries.flatMap(({ name, title: text, facts }) => [
          name,
          ...wrapped(text, "    "),
          ...wrapped(facts["formula"] ?? facts["effect"] ?? facts["settings"] ?? "", "    ").filter(
            (line) => line.trim() !== "",
          ),
        ]),
      ].join("\n"),
    )
    .join("\n\n");
}

/** One entry with all that is known of it. */
export function entryText({ name, title, facts, knobs }: Entry): string {
  return [
    ...wrapped(`${name}: ${title}`, "", "  "),
    ...Object.entries(facts).flatMap(([fact, text]) => wrapped(text, `  ${fact.padEnd(10)}`, " ".repeat(12))),
    ...(knobs.length === 0 ? [] : ["  settings"]),
    ...knobs.flatMap(knobLines),
  ].join("\n");
}

function knobLines({ name, default: fallback, values, help, options, source }: KnobEntry): string[] {
  const origin = source === undefined ? "" : ` (${source})`;
  return [
    ...wrapped(`${name} = ${fallback}${origin}: ${help}; ${values}`, "    ", "      "),
    ...Object.entries(options).flatMap(([option, text]) => wrapped(`${option}: ${text}`, "      ", "        ")),
  ];
}

/** @param level of the sections' headings */
export function sectionsMarkdown(sections: readonly Section[], level = 2): string {
  return sections
    .map(({ title, introduction, entries }) =>
      [`${"#".repeat(level)} ${title}`, introduction, ...entries.map((entry) => entryMarkdown(entry, level + 1))].join(
        "\n\n",
      ),
    )
    .join("\n\n")
    .concat("\n");
}

function entryMarkdown({ name, title, facts, knobs }: Entry, level: number): string {
  if (Object.keys(facts).length === 0 && knobs.length === 0) return `- \`${name}\`: ${escaped(title)}`;
  const { formula, ...others } = facts;
  const parts = [
    `${"#".repeat(level)} \`${name}\``,
    `${sentence(title)}.`,
    ...(formula === undefined ? [] : [`    ${formula}`]),
    Object.entries(others)
      .map(([fact, text]) => `- ${fact}: ${escaped(text)}`)
      .join("\n"),
    ...(knobs.length === 0 ? [] : [knobTable(knobs)]),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

function knobTable(knobs: readonly KnobEntry[]): string {
  const rows = knobs.map(({ name, default: fallback, values, help, options, source }) => {
    const meanings = Object.entries(options).map(([option, text]) => `\`${option}\`: ${text}`);
    const said = [help, ...(meanings.length === 0 ? [`values: ${values}`] : meanings)].join("; ");
    const origin = source === undefined ? "" : `, from ${source}`;
    return `| \`${name}\` | ${cell(`${fallback}${origin}`)} | ${cell(said)} |`;
  });
  return ["| setting | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

const sentence = (text: string): string => escaped(text.charAt(0).toUpperCase() + text.slice(1));
/** What Markdown would take for its own. */
const escaped = (text: string): string => text.replace(/[*<]/g, "\\$&");
const cell = (text: string): string => escaped(text).replaceAll("|", "\\|");
