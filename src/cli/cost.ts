/** `moge cost`: prices one training step of a job and shows where its seconds and bytes go. */
import type { CommandModule } from "yargs";
import { exitCodes } from "./failure.ts";
import { once, setOption } from "./options.ts";
import { writeTo } from "./write-report.ts";

interface Arguments {
  config: string;
  set: string[];
  json: boolean;
  csv?: string;
  trace?: string;
  traffic?: string;
}

export const costCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .positional("config", { type: "string", demandOption: true, describe: "a file, or a packaged cost config" })
      .option("set", { ...setOption, describe: "override a value, e.g. --set cluster.devices=64" })
      .option("json", { type: "boolean", default: false, describe: "print everything as JSON" })
      .option("csv", {
        type: "string",
        requiresArg: true,
        coerce: once("csv", "file"),
        describe: "write step, stages, layers and ranks here",
      })
      .option("trace", {
        type: "string",
        requiresArg: true,
        coerce: once("trace", "file"),
        describe: "write a trace for Perfetto here",
      })
      .option("traffic", {
        type: "string",
        requiresArg: true,
        coerce: once("traffic", "file"),
        describe: "write the bytes between pairs of devices here, by purpose, as CSV",
      }),
  handler: async ({ config: name, set, json, csv, trace, traffic: pairs }) => {
    const { readCostConfig } = await import("../host/read-cost-config.ts");
    const { config, job } = await readCostConfig(name, set);
    const [
      { openRouting },
      { priceStep },
      { trafficOf },
      { memoryVerdict },
      { costCsv, costJson, costText, outOfMemory },
    ] = await Promise.all([
      import("../run/cost-routing.ts"),
      import("../cluster/step.ts"),
      import("../cluster/traffic.ts"),
      import("../cluster/verdict.ts"),
      import("../output/cost-report.ts"),
    ]);
    const routing = await openRouting({ config, job }, (text) => process.stderr.write(`${text}\n`));
    const price = priceStep(job, routing, { events: true });
    const hottest = price.layers.reduce((most, layer) => (layer.hottestRows > most.hottestRows ? layer : most));
    const verdict = memoryVerdict(job, routing, price.memory, hottest.hottestDevice);
    const priced = { config, job, routing, price, traffic: trafficOf(job, routing), verdict };
    if (csv !== undefined) writeTo("csv", csv, costCsv(priced));
    if (trace !== undefined) {
      const { perfettoTrace } = await import("../output/perfetto.ts");
      writeTo("trace", trace, `${JSON.stringify(perfettoTrace(job, price))}\n`);
    }
    if (pairs !== undefined) {
      const { pairCsv } = await import("../output/traffic-report.ts");
      writeTo("traffic", pairs, pairCsv(priced.traffic, job));
    }
    process.stdout.write(json ? `${JSON.stringify(costJson(priced), null, 2)}\n` : `${costText(priced)}\n`);
    for (const file of [csv, trace, pairs]) if (file !== undefined) process.stderr.write(`written: ${file}\n`);
    if (verdict.fits) return;
    process.stderr.write(`moge: out of memory: ${outOfMemory(verdict)}\n`);
    process.exitCode = exitCodes.usage;
  },
};
