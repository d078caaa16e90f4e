#!/usr/bin/env node
/** The command line: one file a command. stdout carries data, stderr everything said to a person. */
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { withCommands } from "./commands.ts";
import { exitCodes, fail } from "./failure.ts";

const empty = yargs(hideBin(process.argv))
  .scriptName("moge")
  .usage("$0 <command>\n\nTrains Mixture-of-Grouped-Experts against top-k and prices both on simulated Ascend NPUs.");

const parser = withCommands(empty)
  .option("debug", { type: "boolean", default: false, describe: "print stack traces", global: true })
  .demandCommand(1, "say what to do, for example: moge run quickstart")
  .strict()
  .recommendCommands()
  .wrap(process.stdout.isTTY ? Math.min(100, process.stdout.columns) : 80)
  .fail((message, error: Error | undefined) => {
    if (error) throw error;
    process.stderr.write(`moge: ${message} (moge --help lists the commands)\n`);
    process.exit(exitCodes.usage);
  });

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.ok); // the reader of a pipe has seen enough
  process.stderr.write(`moge: standard output cannot be written: ${error.message}\n`);
  process.exit(exitCodes.failed);
});

try {
  await parser.parseAsync();
} catch (error) {
  fail(error, process.argv.includes("--debug"));
}
