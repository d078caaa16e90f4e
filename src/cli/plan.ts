/** `moge plan`: searches parallel layouts for a job and ranks those that fit into memory. */
import type { CommandModule } from "yargs";
import { exitCodes } from "./failure.ts";
import { once, setOption, wholeNumber } from "./options.ts";
import { writeTo } from "./write-report.ts";

interface Arguments {
  config: string;
  set: string[];
  top: number;
  prune: boolean;
  json: boolean;
  csv?: string;
}

/** More lines than anybody reads. */
const MOST_SHOWN = 50;

export const planCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("config", { type: "string", demandOption: true, describe: "a file, or a packaged cost config" })
      .option("set", { ...setOption, describe: "override a value, e.g. --set cluster.devices=64" })
      .option("top", { ...wholeNumber("top", 1, MOST_SHOWN), default: 10, describe: "layouts shown" })
      .option("prune", {
        type: "boolean",
        default: false,
        describe: "skip what cannot fit: less recomputation than one that does not",
      })
      .option("json", { type: "boolean", default: false, describe: "print the layouts shown as JSON" })
      .option("csv", {
        type: "string",
        requiresArg: true,
        coerce: once("csv", "file"),
        describe: "write all candidates here",
      }) as never,
  handler: async ({ config: name, set, top, prune, json, csv }) => {
    const { readCostConfig } = await import("../host/read-cost-config.ts");
    const { config, job } = await readCostConfig(name, set, true);
    const [{ defaultGrid, playCandidate, searchLayouts }, { openPlannedRouting }, { planCsv, planText }] =
      await Promise.all([
        import("../cluster/plan.ts"),
        import("../run/cost-routing.ts"),
        import("../output/plan-report.ts"),
      ]);
    const routingOf = await openPlannedRouting({ config, job }, (text) => process.stderr.write(`${text}\n`));
    const result = searchLayouts(job, defaultGrid(job), routingOf, { prune, spreadGroups: config.layout.spreadGroups });
    const { tried, refused, pruned, candidates } = result;
    const fitting = candidates.filter(({ fits }) => fits);
    if (csv !== undefined) writeTo("csv", csv, planCsv(result));
    const shown = fitting
      .slice(0, top)
      .map((candidate) => ({ ...candidate, playedSeconds: playCandidate(job, candidate, routingOf) }));
    process.stdout.write(json ? `${JSON.stringify(shown, null, 2)}\n` : `${planText(config.name, job, shown)}\n`);
    const left = `${tried} combinations: ${refused} contradict themselves, ${pruned} pruned, ${fitting.length} of ${candidates.length} fit into ${(job.device.memoryBytes.value / 1e9).toFixed(0)} GB`;
    process.stderr.write(`${left}${csv === undefined ? "" : `; all candidates are in ${csv}`}\n`);
    if (shown[0] !== undefined) {
      process.stderr.write(`played as events the first takes ${(shown[0].playedSeconds * 1e3).toFixed(1)} ms\n`);
      return;
    }
    process.stderr.write(
      `moge: no layout ${candidates.length === 0 ? "is free of contradictions; choose another number of devices or global batch" : "fits into memory; use more devices"}\n`,
    );
    process.exitCode = exitCodes.usage;
  },
};
