/** The parser of the command line, from the table of commands. */
import yargs, { type Argv } from "yargs";
import { commands } from "./commands.ts";
import { exitCodes } from "./failure.ts";
import { generalOptions, usage } from "./help.ts";

/** @param width columns of help texts */
export const parserOf = (words: readonly string[], width: number): Argv =>
  withCommands(
    yargs([...words])
      .scriptName("moge")
      .usage(usage),
  )
    .describe({ help: generalOptions.help, version: generalOptions.version })
    .option("debug", { type: "boolean", default: false, describe: generalOptions.debug, global: true })
    .demandCommand(1, "say what to do, for example: moge run quickstart")
    .strict()
    .recommendCommands()
    .wrap(width)
    .fail((message, error: Error | undefined) => {
      if (error) throw error;
      process.stderr.write(`moge: ${message} (moge --help lists the commands)\n`);
      process.exit(exitCodes.usage);
    });

const withCommands = (parser: Argv): Argv =>
  commands.reduce(
    (known, { command, describe, load }) =>
      known.command({
        command,
        describe,
        builder: async (yargs: Argv) => {
          const { builder } = await load();
          return typeof builder === "function" ? (builder as (yargs: Argv) => Argv)(yargs) : yargs;
        },
        handler: async (args) => {
          await (await load()).handler(args as never);
        },
      }),
    parser,
  );
