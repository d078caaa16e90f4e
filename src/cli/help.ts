/**
 * What `moge --help` says, letter by letter as the parser would, which a test holds it to: the parser and what it measures
 * letters by take longer to load than all the rest.
 */
import { commands } from "./commands.ts";
import { wrapped } from "./format.ts";

const purpose = "Trains Mixture-of-Grouped-Experts against top-k and prices both on simulated Ascend NPUs.";

/** For the parser. */
export const usage = `$0 <command>\n\n${purpose}`;

/** Options of the program, beside those of its commands. */
export const generalOptions = {
  help: "Show help",
  version: "Show version number",
  debug: "print stack traces",
} as const;

/** In narrower terminals the parser lays its columns out in another way. */
export const LEAST_WIDTH = 80;

/** @param width columns, at least `LEAST_WIDTH` */
export function helpText(width: number): string {
  const names = commands.map(({ command }) => `  moge ${command}`);
  const column = Math.max(...names.map(({ length }) => length)) + 2;
  const listed = commands.map(({ describe }, i) => {
    const lines = wrapped(describe, width - column).split("\n");
    return `${names[i]!.padEnd(column)}${lines.join(`\n${" ".repeat(column)}`)}`;
  });
  const options = Object.entries(generalOptions).map(([name, text]) => {
    const kind = name === "debug" ? "[boolean] [default: false]" : "[boolean]";
    const start = `  --${name}`.padEnd(OPTIONS_COLUMN) + text;
    return `${start}${kind.padStart(width - start.length)}`;
  });
  return ["moge <command>\n", `${wrapped(purpose, width)}\n`, "Commands:", ...listed, "\nOptions:", ...options].join(
    "\n",
  );
}

const OPTIONS_COLUMN = "  --version  ".length;
