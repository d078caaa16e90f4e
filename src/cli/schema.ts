/** `moge schema`: the JSON Schema of a config file, for editors and checkers. */
import type { CommandModule } from "yargs";

export const schemaCommand: CommandModule = {
  handler: async () => {
    const { configJsonSchema } = await import("../config/resolve.ts");
    process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  },
};
