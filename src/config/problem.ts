/** What is wrong with a config: one line each, and all of them at once. */

export interface Problem {
  /** `file:line:column`, or the flag that gave the value. */
  readonly where: string;
  /** Dotted key, empty for the file as a whole. */
  readonly key: string;
  /** What is wrong and what was expected. */
  readonly message: string;
}

/** A config that cannot be run. The message has one line a problem. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map(({ where, key, message }) => `${where}${key && ` ${key}`}: ${message}`).join("\n"));
    this.problems = problems;
  }
}

/** ", did you mean "x"?" for the candidate closest to what was written, or nothing if none is close. */
export function didYouMean(written: string, candidates: readonly string[]): string {
  const closest = candidates
    .map((candidate) => ({ candidate, distance: editDistance(written.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance)[0];
  return closest ? `, did you mean "${closest.candidate}"?` : "";
}

/** Letters to insert, delete, replace or swap with their neighbour to turn one word into the other (optimal string alignment). */
function editDistance(from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number) => rows[i]![j]!;
  for (let i = 1; i <= from.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const best = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same);
      rows[i]!.push(swapped ? Math.min(best, at(i - 2, j - 2) + 1) : best);
    }
  }
  return at(from.length, to.length);
}
