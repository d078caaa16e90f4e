/** `moge verify`: runs a finished run again, apart, and compares every byte. */
import type { CommandModule } from "yargs";
import { exitCodes } from "./failure.ts";
import { say } from "./format.ts";
import { listenForSignals } from "./interruption.ts";
import { resultsOption, runArgument, runDirectory } from "./run-argument.ts";

interface Arguments {
  run: string;
  results: string;
}

export const verifyCommand: CommandModule<object, Arguments> = {
  builder: (yargs) => yargs.positional("run", runArgument).option("results", resultsOption),
  handler: async ({ run, results }) => {
    const { verifyRun } = await import("../run/verify.ts");
    const interruption = listenForSignals("stopping after this step");
    const outcome = await verifyRun(runDirectory(results, run), say, interruption.signal);
    if (outcome === "interrupted") {
      process.exitCode = interruption.exitCode();
      return;
    }
    const { compared, differences } = outcome;
    for (const { file, what } of differences) process.stdout.write(`✗ ${file}: ${what}\n`);
    process.stdout.write(`${compared - differences.length} of ${compared} files are the same, byte for byte\n`);
    if (differences.length > 0) process.exitCode = exitCodes.checkFailed;
  },
};
