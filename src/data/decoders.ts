/** From the text of a package's files to the text of a domain. Pure; one function a kind of file. */

/** Prose and sources: the text as it is. */
export function plainText(text: string): string {
  return text;
}

/** A JSON object of messages: its values, a line each, in the order of the file. */
export function messageValues(json: string): string {
  return asLines(Object.values(JSON.parse(json) as Record<string, string>));
}

const PASSES = 12;
const STRIDE = 101;

/**
 * The module of cmu-pronouncing-dictionary, one `  "word": "P HH OW1 N",` a line: lines such as `word W ER1 D`.
 * Every 101st entry, then every 101st from the next one on, twelve times: each pass runs from A to Z, so that the
 * end of the text, kept for validation, is like its beginning.
 */
export function pronunciationLines(module: string): string {
  const entries = module.split("\n").filter((line) => line.startsWith('  "'));
  const lines: string[] = [];
  for (let pass = 0; pass < PASSES; pass++) {
    for (let i = pass; i < entries.length; i += STRIDE) {
      const [word, sounds] = JSON.parse(`[${entries[i]!.replace('": "', '", "').replace(/,$/, "")}]`) as string[];
      lines.push(`${word} ${sounds}`);
    }
  }
  return asLines(lines);
}

function asLines(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}
