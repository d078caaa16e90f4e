/** The run that `moge page --run` put into this copy of the page. */
const textOf = (): string | null | undefined => document.getElementById("embedded-run")?.textContent;

export const hasEmbedded = (): boolean => Boolean(textOf());

/** @returns undefined where there is none */
export function embeddedRun(): { readonly name: string; readonly files: Readonly<Record<string, string>> } | undefined {
  const text = textOf();
  return text ? JSON.parse(text) : undefined;
}
