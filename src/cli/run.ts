/** `moge run`: trains and prices the variants of a config and ends with them side by side. */
import type { CommandModule } from "yargs";
import type { ResolvedConfig } from "../config/resolve.ts";
import { readConfig } from "../host/read-config.ts";
import { formatSeconds, say, wrapped } from "./format.ts";
import { listenForSignals } from "./interruption.ts";
import { configArgument, formatOptions, progressOption, resultOptions, setOption } from "./options.ts";
import type { ProgressMode } from "./progress-modes.ts";

interface Arguments {
  parquet: boolean;
  tensorboard: boolean;
  config: string;
  set: string[];
  results: string;
  force: boolean;
  dryRun: boolean;
  progress: ProgressMode;
  json: boolean;
  profile: boolean;
}

export const runCommand: CommandModule<object, Arguments> = {
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
      .option("progress", progressOption)
      .options(formatOptions)
      .option("profile", {
        type: "boolean",
        default: false,
        describe: "end with where the time of the training steps went, by layer and part",
      })
      .option("json", { type: "boolean", default: false, describe: "print the summary as JSON" }) as never,
  handler: async ({ config, set, results, force, dryRun, progress: mode, json, profile, parquet, tensorboard }) => {
    const resolved = await readConfig(config, set);
    await announce(resolved);
    const { assertEngineFits, prepareEngine } = await import("../host/open-engine.ts");
    for (const variant of resolved.variants) await assertEngineFits(variant.config);
    if (dryRun) return;
    await prepareEngine(resolved.variants[0]!.config);
    const [{ run }, { trainingSteps }, { openProgress }] = await Promise.all([
      import("../run/runner.ts"),
      import("../run/plan.ts"),
      import("./progress.ts"),
    ]);
    const interruption = listenForSignals("stopping after this step");
    const progress = openProgress(mode, trainingSteps(resolved.variants));
    const { profileTable } = await import("../output/profile-table.ts");
    const profiles: string[] = [];
    const profiled = (...of: Parameters<typeof profileTable>) => profiles.push(profileTable(...of));
    try {
      const outcome = await run(
        {
          resolved,
          results,
          replaceable: force ? "anything" : "nothing",
          page: true,
          formats: { parquet, tensorboard },
          ...(profile && { profiled }),
        },
        progress,
        interruption.signal,
      );
      progress.close();
      if (outcome.kind === "complete") await conclude(outcome.directory, json);
      if (profile) say(`\n${profiles.join("\n\n") || "nothing was trained with an engine that keeps a profile"}`);
      if (outcome.kind === "complete") return;
      say(`interrupted in variant ${outcome.variant} after step ${outcome.step}; the same command goes on from there`);
      process.exitCode = interruption.exitCode();
    } finally {
      progress.close();
    }
  },
};

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
