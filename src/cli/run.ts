/** `moge run`: trains and prices the variants of a config and ends with them side by side. */
import type { CommandModule } from "yargs";
import type { ResolvedConfig } from "../config/resolve.ts";
import { readConfig } from "../host/read-config.ts";
import { exitCodes } from "./failure.ts";
import { configArgument, resultOptions, setOption } from "./options.ts";

const progressModes = ["auto", "bar", "text", "none"] as const;

interface Arguments {
  config: string;
  set: string[];
  results: string;
  force: boolean;
  dryRun: boolean;
  progress: (typeof progressModes)[number];
  json: boolean;
}

export const runCommand: CommandModule<object, Arguments> = {
  command: "run [config]",
  describe: "train and price the variants of a config, side by side",
  builder: (yargs) =>
    yargs
      .positional("config", configArgument)
      .option("set", setOption)
      .options(resultOptions)
      .option("dry-run", {
        type: "boolean",
        default: false,
        describe: "check the config, say what would be done, and stop",
      })
      .option("progress", { choices: progressModes, default: "auto" as const, describe: "how progress is shown" })
      .option("json", { type: "boolean", default: false, describe: "print the summary as JSON" }) as never,
  handler: async ({ config, set, results, force, dryRun, progress: mode, json }) => {
    const resolved = await readConfig(config, set);
    await announce(resolved);
    const { assertEngineFits } = await import("../host/open-engine.ts");
    for (const variant of resolved.variants) await assertEngineFits(variant.config);
    if (dryRun) return;
    const [{ run }, { trainingSteps }, { openProgress }] = await Promise.all([
      import("../run/runner.ts"),
      import("../run/plan.ts"),
      import("./progress.ts"),
    ]);
    const interruption = listenForSignals();
    const progress = openProgress(mode, trainingSteps(resolved.variants));
    try {
      const outcome = await run({ resolved, results, force }, progress, interruption.signal);
      progress.close();
      if (outcome.kind === "complete") return await conclude(outcome.directory, json);
      say(`interrupted in variant ${outcome.variant} after step ${outcome.step}; the same command goes on from there`);
      process.exitCode = interruption.exitCode();
    } finally {
      progress.close();
    }
  },
};

const say = (text: string) => process.stderr.write(`${text}\n`);

/** The first SIGINT or SIGTERM stops the run after its step; a second one ends the process. */
function listenForSignals(): { readonly signal: AbortSignal; exitCode(): number } {
  const controller = new AbortController();
  let code: number = exitCodes.interrupted;
  const stopWith = (exitCode: number) => () => {
    code = exitCode;
    controller.abort();
    say("stopping after this step");
  };
  process.once("SIGINT", stopWith(exitCodes.interrupted));
  process.once("SIGTERM", stopWith(exitCodes.requeue));
  return { signal: controller.signal, exitCode: () => code };
}

/** What is about to be done. */
async function announce(resolved: ResolvedConfig): Promise<void> {
  const { estimatedSeconds, planVariant } = await import("../run/plan.ts");
  const { file, variants } = resolved;
  say(`${file.name}${file.description ? `: ${file.description}` : ""}`);
  for (const variant of variants) {
    const { name, rule, parameters, tokens } = planVariant(variant);
    const size = `${(parameters / 1e6).toFixed(2)} M parameters, ${tokens.toLocaleString("en-US")} tokens`;
    say(`  ${name}: ${rule}; ${size} in ${variant.config.training.steps} steps`);
  }
  say(`estimated time: ${formatSeconds(estimatedSeconds(variants))} on two cores, from the operation count`);
}

function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** A text in lines of at most `width` letters. */
function wrapped(text: string, width: number): string {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines.join("\n");
}

async function conclude(directory: string, json: boolean): Promise<void> {
  const { readSummary } = await import("../output/summary-rows.ts");
  const rows = readSummary(directory);
  if (json) {
    process.stdout.write(
      `${JSON.stringify(
        rows.map(({ variant, values }) => ({ variant, ...values })),
        null,
        2,
      )}\n`,
    );
    return;
  }
  const [{ summaryTable }, { conclusion }] = await Promise.all([
    import("../output/table.ts"),
    import("../output/conclusion.ts"),
  ]);
  const sentences = conclusion(rows).map((sentence) =>
    wrapped(sentence, Math.min(80, process.stdout.isTTY ? process.stdout.columns : 80)),
  );
  process.stdout.write(`\n${[summaryTable(rows), ...sentences].join("\n\n")}\n`);
  say(`\nresults are in ${directory}: summary.md, figures and CSV files`);
}
