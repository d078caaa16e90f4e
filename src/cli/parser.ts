/** The parser of the command line, from the table of commands. */
import yargs, { type Argv } from "yargs";
import { programVersion } from "../run/program-version.ts";
import { commands, type LazyCommand } from "./commands.ts";
import { exitCodes } from "./failure.ts";
import { generalOptions, usage } from "./help.ts";

/** @param width columns of help texts */
export function parserOf(words: readonly string[], width: number): Argv {
  const called = commands.find(({ command }) => nameOf(command) === words[0]);
  if (called === undefined || words.some(mayAskForHelp)) return parserOfAll(words, width);
  return parserOfOne(called, words.slice(1), width);
}

const nameOf = (command: string) => command.split(" ", 1)[0];

const mayAskForHelp = (word: string) => /^(--)?help\b/.test(word);

const parserOfAll = (words: readonly string[], width: number): Argv =>
  commands.reduce(
    (parser, command) => parser.command(lazily(command, command.command)),
    bare(words, width)
      .scriptName("moge")
      .usage(usage)
      .demandCommand(1, "say what to do, for example: moge run quickstart"),
  );

/**
 * Of what follows a command's name, the command being the only one, which needs none: before it runs a named one, yargs
 * writes that one's help, and takes longer to do so than for all the rest.
 */
const parserOfOne = (command: LazyCommand, words: readonly string[], width: number): Argv =>
  bare(words, width)
    .scriptName(`moge ${nameOf(command.command)}`)
    .command(lazily(command, command.command.replace(/^\S+/, "$0")));

const bare = (words: readonly string[], width: number): Argv =>
  yargs([...words])
    .version(programVersion()) // yargs would look for a package.json from the folder of the call
    .describe({ help: generalOptions.help, version: generalOptions.version })
    .option("debug", { type: "boolean", default: false, describe: generalOptions.debug, global: true })
    .strict()
    .recommendCommands()
    .wrap(width)
    .fail((message, error: Error | undefined) => {
      if (error) throw error;
      const inOneLine = message.trim().replace(/:?\s*\n\s*/g, ": ");
      process.stderr.write(`moge: ${inOneLine} (moge --help lists the commands)\n`);
      process.exit(exitCodes.usage);
    });

/** @param command its name, or $0 for a command that needs none, and its positional arguments */
const lazily = ({ describe, load }: LazyCommand, command: string) => ({
  command,
  describe,
  builder: async (yargs: Argv) => {
    const { builder } = await load();
    return typeof builder === "function" ? (builder as (yargs: Argv) => Argv)(yargs) : yargs;
  },
  handler: async (args: unknown) => {
    await (await load()).handler(args as never);
  },
});
