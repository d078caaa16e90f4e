/** `moge page`: the page that teaches routing, one HTML file that needs nothing else. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { CommandModule } from "yargs";
import { UsageError } from "./failure.ts";
import { once } from "./options.ts";

interface Arguments {
  run?: string;
  out?: string;
  lite: boolean;
  open: boolean;
  force: boolean;
}

export const pageCommand: CommandModule<object, Arguments> = {
  builder: (yargs) =>
    yargs
      .option("run", {
        type: "string",
        requiresArg: true,
        coerce: once("run", "folder"),
        describe: "folder of a result, to be inside a copy of the page",
      })
      .option("out", {
        type: "string",
        requiresArg: true,
        coerce: once("out", "file"),
        describe: "where the copy goes; otherwise ./moge-<name>.html",
      })
      .option("lite", { type: "boolean", default: false, describe: "the small page, without training" })
      .option("open", { type: "boolean", default: true, describe: "show it in a browser where there is a screen" })
      .option("force", { type: "boolean", default: false, describe: "replace a copy that is there already" }),
  handler: async (given) => {
    const { pagePath } = await import("../host/page-file.ts");
    const built = pagePath(given.lite);
    if (!existsSync(built)) {
      throw new UsageError(`${built} is missing; npm run page${given.lite ? " -- --lite" : ""} builds it`);
    }
    const wantsCopy = given.run !== undefined || given.out !== undefined;
    const path = wantsCopy ? await writeCopy(built, given) : built;
    process.stdout.write(`${path}\n`);
    if (given.open && process.stdout.isTTY) open(path);
  },
};

/** @returns its path */
async function writeCopy(built: string, { run: directory, out, force }: Arguments): Promise<string> {
  const [{ readRun, withRun }, { writeWhole }] = await Promise.all([
    import("../host/page-file.ts"),
    import("../host/whole-file.ts"),
  ]);
  const html = readFileSync(built, "utf8");
  try {
    const run = directory === undefined ? undefined : readRun(directory);
    const path = resolve(out ?? `moge-${run!.name}.html`);
    if (existsSync(path) && !force) throw new UsageError(`${path} is there already; --force replaces it`);
    writeWhole(path, run === undefined ? html : withRun(html, run));
    return path;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Asks the system to show a file; where there is no screen, the path that was printed is all. */
function open(path: string): void {
  const { platform, env } = process;
  const hasScreen = platform === "darwin" || platform === "win32" || env["DISPLAY"] || env["WAYLAND_DISPLAY"];
  if (!hasScreen) return;
  const opener = platform === "darwin" ? "open" : platform === "win32" ? "explorer" : "xdg-open";
  spawn(opener, [path], { detached: true, stdio: "ignore" })
    .on("error", () => process.stderr.write("no browser could be started; open the file by hand\n"))
    .unref();
}
