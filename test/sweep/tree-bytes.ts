/** A hash of every file below a folder, but for those that tell of a run's making: provenance and logs. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const telling = new Set(["provenance.json", "log.txt", "slurm"]);

export function bytesOfTree(folder: string, below = ""): Record<string, string> {
  const entries = readdirSync(join(folder, below), { withFileTypes: true }).filter(({ name }) => !telling.has(name));
  return Object.fromEntries(
    entries.flatMap((entry) => {
      const path = `${below}${entry.name}`;
      if (entry.isDirectory()) return Object.entries(bytesOfTree(folder, `${path}/`));
      return [
        [
          path,
          createHash("sha256")
            .update(readFileSync(join(folder, path)))
            .digest("hex"),
        ],
      ];
    }),
  );
}
