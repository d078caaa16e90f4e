import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { Replaceable } from "../../src/run/directory.ts";
import { type RunObserver, run } from "../../src/run/runner.ts";
import { tinyFile } from "../tiny-config.ts";

const silent: RunObserver = { notice() {}, variant() {}, step() {} };

/** The bytes of every file of a result but the provenance. */
function bytesOf(directory: string): Record<string, string> {
  const files = readdirSync(directory).filter((file) => file !== "provenance.json");
  return Object.fromEntries(files.map((file) => [file, readFileSync(join(directory, file)).toString("base64")]));
}

describe("a run on disk", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "moge-run-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const start = (
    name: string,
    sets: string[] = [],
    options: { replaceable?: Replaceable; observer?: RunObserver; signal?: AbortSignal } = {},
  ) =>
    run(
      {
        resolved: tinyFile(...sets),
        results: join(folder, name),
        replaceable: options.replaceable ?? "nothing",
        page: true,
      },
      options.observer ?? silent,
      options.signal ?? new AbortController().signal,
    );

  /** Runs until the given step of a variant, then interrupts. */
  async function interrupt(name: string, at: { variant: string; step: number }) {
    const controller = new AbortController();
    const observer = {
      ...silent,
      step(variant: string, { step }: { step: number }) {
        if (variant === at.variant && step === at.step) controller.abort();
      },
    };
    return start(name, [], { observer, signal: controller.signal });
  }

  let undisturbed: Record<string, string>;
  before(async () => {
    const apart = mkdtempSync(join(tmpdir(), "moge-run-"));
    await run(
      { resolved: tinyFile(), results: apart, replaceable: "nothing", page: true },
      silent,
      new AbortController().signal,
    );
    undisturbed = bytesOf(join(apart, "tiny"));
    rmSync(apart, { recursive: true });
  });

  it("gives the same bytes twice and leaves nothing but the result", async () => {
    await start("a");
    expect(bytesOf(join(folder, "a", "tiny"))).to.deep.equal(undisturbed);
    expect(readdirSync(join(folder, "a"))).to.deep.equal(["tiny"]);
    expect(Object.keys(undisturbed)).to.include.members([
      "config.yaml",
      "steps.csv",
      "layers.csv",
      "expert-load.csv",
      "device-load.csv",
      "validation.csv",
      "summary.csv",
      "summary.md",
      "loss.svg",
      "loss.png",
    ]);
  });

  it("gives the same bytes on two threads as on one, thread count apart", async () => {
    await start("a", ["engine.threads=2"]);
    const { "config.yaml": _, "summary.md": __, "complete.json": ______, ...two } = bytesOf(join(folder, "a", "tiny"));
    const { "config.yaml": ___, "summary.md": ____, "complete.json": _____, ...one } = undisturbed;
    expect(two).to.deep.equal(one);
  });

  for (const at of [
    { variant: "topk", step: 1 },
    { variant: "topk", step: 5 },
    { variant: "topk", step: 6 },
    { variant: "moge", step: 3 },
  ]) {
    it(`interrupted in ${at.variant} after step ${at.step} and started again, it gives the bytes of an undisturbed run`, async () => {
      const outcome = await interrupt("a", at);
      expect(outcome).to.include({ kind: "interrupted", ...at });
      expect(existsSync(join(folder, "a", "tiny"))).to.equal(false);
      const resumed = await start("a");
      expect(resumed.kind).to.equal("complete");
      expect(bytesOf(join(folder, "a", "tiny"))).to.deep.equal(undisturbed);
    });
  }

  it("drops what was written after the checkpoint", async () => {
    await interrupt("a", { variant: "moge", step: 3 });
    const steps = join(folder, "a", "tiny.partial", "steps.csv");
    writeFileSync(steps, `${readFileSync(steps, "utf8")}half a line that a killed process left`);
    await start("a");
    expect(bytesOf(join(folder, "a", "tiny"))).to.deep.equal(undisturbed);
  });

  for (const [what, damage] of [
    [
      "a damaged checkpoint",
      (partial: string) => writeFileSync(join(partial, "checkpoint.bin"), "moge-checkpoint-6 and nonsense"),
    ],
    [
      "a checkpoint of another version",
      (partial: string) => writeFileSync(join(partial, "checkpoint.bin"), "moge-checkpoint-4 and whatever it held"),
    ],
    ["a checkpoint cut short", (partial: string) => truncateSync(join(partial, "checkpoint.bin"), 2000)],
    ["a result file cut short", (partial: string) => truncateSync(join(partial, "layers.csv"), 10)],
  ] as const) {
    it(`begins again, and says so, after ${what}`, async () => {
      await interrupt("a", { variant: "moge", step: 3 });
      damage(join(folder, "a", "tiny.partial"));
      const notices: string[] = [];
      await start("a", [], { observer: { ...silent, notice: (text) => notices.push(text) } });
      expect(notices.join()).to.match(/starting from the beginning/);
      expect(bytesOf(join(folder, "a", "tiny"))).to.deep.equal(undisturbed);
    });
  }

  it("begins again, and says so, when the text to train on has changed", async () => {
    const text = join(folder, "text");
    const data = `data={kind: text, domains: [{name: mine, path: ${text}}]}`;
    const controller = new AbortController();
    writeFileSync(text, "to be or not to be ".repeat(100));
    await start("a", [data], { observer: { ...silent, step: () => controller.abort() }, signal: controller.signal });
    writeFileSync(text, "that is the question ".repeat(100));
    const notices: string[] = [];
    await start("a", [data], { observer: { ...silent, notice: (notice) => notices.push(notice) } });
    expect(notices[0]).to.equal("the text to train on has changed since the checkpoint; starting from the beginning");
    await start("b", [data]);
    expect(bytesOf(join(folder, "a", "tiny"))).to.deep.equal(bytesOf(join(folder, "b", "tiny")));
  });

  const refusal = async (attempt: Promise<unknown>): Promise<string> => {
    try {
      await attempt;
    } catch (error) {
      expect((error as Error).name).to.equal("RunRefusedError");
      return (error as Error).message;
    }
    throw new Error("the run was not refused");
  };

  it("never replaces a result without being told to", async () => {
    await start("a");
    const before = bytesOf(join(folder, "a", "tiny"));
    expect(await refusal(start("a", ["seed=2"]))).to.match(/already holds a result; pass --force/);
    expect(bytesOf(join(folder, "a", "tiny"))).to.deep.equal(before);
    await start("a", ["seed=2"], { replaceable: "anything" });
    expect(bytesOf(join(folder, "a", "tiny"))["steps.csv"]).to.not.equal(before["steps.csv"]);
  });

  it("never replaces a result that another process completed in the meantime, and keeps its own", async () => {
    const theirs = join(folder, "a", "tiny");
    const observer = {
      ...silent,
      step() {
        mkdirSync(theirs, { recursive: true });
        writeFileSync(join(theirs, "steps.csv"), "theirs");
      },
    };
    expect(await refusal(start("a", [], { observer }))).to.match(/already holds a result/);
    expect(bytesOf(theirs)).to.have.all.keys("steps.csv");
    expect(bytesOf(`${theirs}.partial`)["summary.csv"]).to.equal(undisturbed["summary.csv"]);
  });

  it("does not mix into an unfinished run of another config", async () => {
    await interrupt("a", { variant: "moge", step: 3 });
    expect(await refusal(start("a", ["seed=2"]))).to.match(/unfinished run of another config; pass --force/);
    await start("a");
    expect(bytesOf(join(folder, "a", "tiny"))).to.deep.equal(undisturbed);
  });

  it("keeps a second process off, and takes over from a dead one", async () => {
    const partial = join(folder, "a", "tiny.partial");
    mkdirSync(partial, { recursive: true });
    writeFileSync(join(partial, "lock"), JSON.stringify({ pid: 1, host: "another-machine" }));
    expect(await refusal(start("a"))).to.match(/being written by process 1 on another-machine/);
    writeFileSync(join(partial, "lock"), "");
    await start("a");
    expect(bytesOf(join(folder, "a", "tiny"))).to.deep.equal(undisturbed);
  });

  it("says that a folder cannot be written", async () => {
    writeFileSync(join(folder, "file"), "");
    expect(await refusal(start("file"))).to.match(
      /cannot be written \(ENOTDIR\); choose another folder with --results$/,
    );
  });

  it("keeps what was written when training diverges, and says at which step and where", async () => {
    let message = "";
    await start("a", ["training.learningRate=1e30"]).catch((error: Error) => {
      message = error.message;
    });
    expect(message).to.match(
      /^variant topk, step \d: a number that is not finite first appears in .+; what was written is in /,
    );
    const steps = readFileSync(join(folder, "a", "tiny.partial", "steps.csv"), "utf8");
    expect(steps.trim().split("\n").length).to.equal(Number(/step (\d)/.exec(message)![1]));
  });
});
