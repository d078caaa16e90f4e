/**
 * Configs as YAML, for files that people read: a key a line, what is innermost in one line of JSON, which is YAML too.
 */

type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain };

const isMapping = (value: unknown): value is Record<string, Plain> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @param tree plain values; what is undefined is left out */
export function yamlText(tree: object, indent = ""): string {
  return Object.entries(tree)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${indent}${scalar(key)}:${below(value as Plain, indent)}`)
    .join("");
}

function below(value: Plain, indent: string): string {
  if (isMapping(value) && Object.values(value).length > 0) return `\n${yamlText(value, `${indent}  `)}`;
  if (Array.isArray(value) && value.some(isMapping)) {
    return `\n${value.map((entry) => `${indent}  - ${flow(entry)}\n`).join("")}`;
  }
  return ` ${flow(value)}\n`;
}

function flow(value: Plain): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (!isMapping(value)) return scalar(value as string | number | boolean | null);
  const entries = Object.entries(value).filter(([, each]) => (each as unknown) !== undefined);
  return entries.length === 0
    ? "{}"
    : `{ ${entries.map(([key, each]) => `${scalar(key)}: ${flow(each)}`).join(", ")} }`;
}

/** Words that YAML might take for something else are quoted. */
function scalar(value: string | number | boolean | null): string {
  if (typeof value !== "string") return JSON.stringify(value);
  const isPlain = /^[A-Za-z][\w./-]*$/.test(value) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value);
  return isPlain ? value : JSON.stringify(value);
}
