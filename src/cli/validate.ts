/** `moge validate`: puts the cost model beside published figures. */
import type { CommandModule } from "yargs";
import { exitCodes } from "./failure.ts";

interface Arguments {
  json: boolean;
  sources: boolean;
}

export const validateCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .option("json", { type: "boolean", default: false, describe: "as JSON" })
      .option("sources", { type: "boolean", default: false, describe: "with the source of each row" }),
  handler: async ({ json, sources }) => {
    const [{ validate }, { validationJson, validationText }] = await Promise.all([
      import("../validation/validation.ts"),
      import("../output/validation-report.ts"),
    ]);
    const summary = validate();
    process.stdout.write(
      json ? `${JSON.stringify(validationJson(summary), null, 2)}\n` : `${validationText(summary, sources)}\n`,
    );
    for (const { title } of summary.failed) process.stderr.write(`moge: does not hold: ${title}\n`);
    if (summary.failed.length > 0) process.exitCode = exitCodes.checkFailed;
  },
};
