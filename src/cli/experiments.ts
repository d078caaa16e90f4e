/** `moge experiments`: what there is to carry out. */
import type { CommandModule } from "yargs";
import { experimentNames, loadExperiment } from "./experiment-files.ts";
import { wrapped } from "./format.ts";

export const experimentsCommand: CommandModule = {
  handler: async () => {
    for (const name of experimentNames()) {
      const { title, question } = (await loadExperiment(name)).experiment;
      process.stdout.write(`${name}: ${title}\n  ${wrapped(question, 78).replaceAll("\n", "\n  ")}\n`);
    }
  },
};
