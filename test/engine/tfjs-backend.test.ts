import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { expect } from "chai";
import { openTfjsEngine } from "../../src/host/tfjs-engine.ts";
import { skipAloud } from "../skip.ts";
import { smallRun } from "./small-run.ts";

const hasTensorflow = (() => {
  try {
    return createRequire(import.meta.url).resolve("@tensorflow/tfjs-node") !== "";
  } catch {
    return false;
  }
})();

const open = (backend: string) => openTfjsEngine(smallRun({ engine: { backend } }));

describe("tfjs backends", () => {
  it("takes the one that the config names and says so", async () => {
    expect((await open("cpu")).description).to.equal("tfjs, backend cpu (as configured)");
    expect((await open("wasm")).description).to.equal("tfjs, backend wasm (as configured)");
  });

  it("falls back from the optional one to wasm and says why", async function () {
    if (hasTensorflow) skipAloud(this, "@tensorflow/tfjs-node is installed");
    expect((await open("auto")).description).to.equal(
      "tfjs, backend wasm (tensorflow: package @tensorflow/tfjs-node is not installed)",
    );
  });

  it("refuses in one line to run on a named backend that cannot", async function () {
    if (hasTensorflow) skipAloud(this, "@tensorflow/tfjs-node is installed");
    const failure = await open("tensorflow").catch((error: Error) => error);
    expect(failure).to.be.instanceOf(Error);
    expect((failure as Error).message)
      .to.match(/^engine\.backend tensorflow cannot run an op \(.*is not installed\); set engine\.backend/)
      .and.not.include("\n");
  });

  it("writes nothing to the terminal of its own", () => {
    const script = `
      import { openTfjsEngine } from "./src/host/tfjs-engine.ts";
      import { batchFor, smallRun } from "./test/engine/small-run.ts";
      for (const backend of ["wasm", "cpu"]) {
        const config = smallRun({ engine: { backend } });
        const engine = await openTfjsEngine(config);
        process.stdout.write(engine.train(batchFor(config), 0).lossNatsPerByte.toFixed(1) + " ");
      }`;
    const args = ["--import", "tsx", "--input-type=module", "--eval", script];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect({ stdout, stderr }).to.deep.equal({ stdout: "5.5 5.5 ", stderr: "" });
  });
});
