/** What published implementations of one rule do differently, read off their presets. */
import { type RoutingPreset, routingPresets } from "../routing/presets.ts";
import { presetSettings } from "./catalogue.ts";

/** For each rule that several presets share, a Markdown table of the settings in which they differ. */
export function presetDifferences(level = 3): string {
  const presets = Object.entries<RoutingPreset>(routingPresets).map(([name, preset]) => ({
    name,
    source: preset.source,
    settings: presetSettings(preset),
  }));
  const selections = [...new Set(presets.map(({ settings }) => settings["selection"]!))];
  return selections
    .map((selection) => {
      const same = presets.filter(({ settings }) => settings["selection"] === selection);
      const keys = [...new Set(same.flatMap(({ settings }) => Object.keys(settings)))];
      const differing = keys.filter((key) => new Set(same.map(({ settings }) => settings[key])).size > 1);
      const head = `${"#".repeat(level)} Presets of \`${selection}\``;
      if (differing.length === 0) return [head, "", ...same.map(({ name }) => `- \`${name}\``)].join("\n");
      return [
        head,
        "",
        `| preset | ${differing.map((key) => `\`${key}\``).join(" | ")} |`,
        `| --- |${" --- |".repeat(differing.length)}`,
        ...same.map(
          ({ name, settings }) => `| \`${name}\` | ${differing.map((key) => settings[key] ?? "–").join(" | ")} |`,
        ),
      ].join("\n");
    })
    .join("\n\n")
    .concat("\n");
}
