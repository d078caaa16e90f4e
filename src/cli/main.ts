#!/usr/bin/env node
/** The command line: one file a command. stdout carries data, stderr everything said to a person. */
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { routersCommand, rulesCommand } from "./catalogue.ts";
import { configCommand } from "./config.ts";
import { costCommand } from "./cost.ts";
import { diffCommand } from "./diff.ts";
import { experimentCommand } from "./experiment.ts";
import { experimentsCommand } from "./experiments.ts";
import { exitCodes, fail } from "./failure.ts";
import { lsCommand } from "./ls.ts";
import { metricsCommand } from "./metrics.ts";
import { placeCommand } from "./place.ts";
import { planCommand } from "./plan.ts";
import { plotCommand } from "./plot.ts";
import { queryCommand } from "./query.ts";
import { reportCommand } from "./report.ts";
import { routeCommand } from "./route.ts";
import { runCommand } from "./run.ts";
import { schemaCommand } from "./schema.ts";
import { statusCommand } from "./status.ts";
import { sweepCommand } from "./sweep.ts";
import { taskCommand } from "./task.ts";
import { validateCommand } from "./validate.ts";
import { verifyCommand } from "./verify.ts";
import { whyCommand } from "./why.ts";

const parser = yargs(hideBin(process.argv))
  .scriptName("moge")
  .usage("$0 <command>\n\nTrains Mixture-of-Grouped-Experts against top-k and prices both on simulated Ascend NPUs.")
  .command(runCommand)
  .command(configCommand)
  .command(schemaCommand)
  .command(experimentCommand)
  .command(experimentsCommand)
  .command(sweepCommand)
  .command(statusCommand)
  .command(lsCommand)
  .command(diffCommand)
  .command(whyCommand)
  .command(verifyCommand)
  .command(reportCommand)
  .command(plotCommand)
  .command(queryCommand)
  .command(taskCommand)
  .command(routeCommand)
  .command(routersCommand)
  .command(rulesCommand)
  .command(metricsCommand)
  .command(placeCommand)
  .command(costCommand)
  .command(planCommand)
  .command(validateCommand)
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
