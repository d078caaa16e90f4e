#!/usr/bin/env node
/** The command line: one file a command. stdout carries data, stderr everything said to a person. */
import { exitCodes, fail } from "./failure.ts";
import { helpText, LEAST_WIDTH } from "./help.ts";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.ok); // the reader of a pipe has seen enough
  process.stderr.write(`moge: standard output cannot be written: ${error.message}\n`);
  process.exit(exitCodes.failed);
});

const words = process.argv.slice(2);
const width = process.stdout.isTTY ? Math.min(100, process.stdout.columns) : 80;

if (words.length === 1 && words[0] === "--help" && width >= LEAST_WIDTH) {
  process.stdout.write(`${helpText(width)}\n`);
} else {
  try {
    const { parserOf } = await import("./parser.ts");
    await parserOf(words, width).parseAsync();
  } catch (error) {
    fail(error, words.includes("--debug"));
  }
}
