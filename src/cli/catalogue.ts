/** `moge routers` and `moge rules`: what there is to choose from, with formulas, sources and settings. */
import type { CommandModule } from "yargs";
import type { Section } from "../output/catalogue.ts";
import { nameIn } from "./knob-values.ts";

interface Arguments {
  readonly name?: string;
  readonly json: boolean;
}

type Catalogue = typeof import("../output/catalogue.ts");

const catalogue = (what: string, sectionsOf: (catalogue: Catalogue) => Section[]) =>
  ({
    builder: (yargs) =>
      yargs
        .positional("name", { type: "string", describe: `one ${what}, with all that is known of it; none: list them` })
        .option("json", { type: "boolean", default: false, describe: "as JSON" }),
    handler: async ({ name, json }) =>
      showSections(what, sectionsOf(await import("../output/catalogue.ts")), name, json),
  }) satisfies CommandModule<object, Arguments>;

/** Prints the sections, or the entries of one name. @throws UsageError for a name that none has */
export async function showSections(
  what: string,
  sections: readonly Section[],
  wanted: string | undefined,
  json: boolean,
): Promise<void> {
  const { entryText, sectionsText } = await import("../output/catalogue-text.ts");
  const entries = sections.flatMap((section) => section.entries);
  if (wanted === undefined) {
    process.stdout.write(json ? `${JSON.stringify(sections, null, 1)}\n` : `${sectionsText(sections)}\n`);
    return;
  }
  const name = nameIn(what, wanted, Object.fromEntries(entries.map((entry) => [entry.name, entry])));
  const found = entries.filter((entry) => entry.name === name);
  process.stdout.write(json ? `${JSON.stringify(found, null, 1)}\n` : `${found.map(entryText).join("\n\n")}\n`);
}

export const routersCommand = catalogue("router", ({ routerSections }) => routerSections());

export const rulesCommand = catalogue("rule", ({ ruleSections }) => ruleSections());
