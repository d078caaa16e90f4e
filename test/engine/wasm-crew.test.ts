/** The crew with real threads: they meet, they share tasks, and when one fails all stop with its words. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { expect } from "chai";
import { Crew } from "../../src/engine/wasm/crew.ts";

const crewModule = new URL("../../src/engine/wasm/crew.ts", import.meta.url).href;
const memory = () => new SharedArrayBuffer(2 * 65536);

/** Starts a thread of a crew that runs the lines given, with `crew` and `seen`, an Int32Array in shared memory. */
async function startThread(buffer: SharedArrayBuffer, index: number, size: number, lines: string): Promise<Worker> {
  const source = `
    const { parentPort, workerData: { buffer, index, size } } = require("node:worker_threads");
    import("tsx/esm/api").then(({ register }) => register()).then(() => import("${crewModule}")).then(({ Crew }) => {
      const crew = new Crew(buffer, index, size);
      const seen = new Int32Array(buffer, 65536);
      parentPort.postMessage("ready");
      try { ${lines} } catch (error) { crew.fail(error); }
    });`;
  const worker = new Worker(source, { eval: true, workerData: { buffer, index, size } });
  await once(worker, "message");
  return worker;
}

describe("crew", () => {
  it("shares every count completely, without overlap", () => {
    for (const size of [1, 2, 3, 8]) {
      for (const count of [0, 1, 7, 8, 64]) {
        const shares = Array.from({ length: size }, (_, index) => new Crew(memory(), index, size).share(count));
        expect(shares[0]![0]).to.equal(0);
        expect(shares.at(-1)![1]).to.equal(count);
        for (const [i, [first]] of shares.slice(1).entries()) expect(first).to.equal(shares[i]![1]);
      }
    }
  });

  it("passes a barrier only together, and gives every task to one thread", async () => {
    const buffer = memory();
    const rounds = 200;
    const program = `
      for (let round = 0; round < ${rounds}; round++) {
        for (let task = crew.nextTask(); task < 10; task = crew.nextTask()) Atomics.add(seen, round, 1 << (2 * task));
        crew.barrier();
      }`;
    const worker = await startThread(buffer, 1, 2, program);
    const crew = new Crew(buffer, 0, 2);
    const seen = new Int32Array(buffer, 65536);
    const once10 = Array.from({ length: 10 }, (_, task) => 1 << (2 * task)).reduce((a, b) => a + b);
    for (let round = 0; round < rounds; round++) {
      for (let task = crew.nextTask(); task < 10; task = crew.nextTask()) Atomics.add(seen, round, 1 << (2 * task));
      crew.barrier();
      expect(Atomics.load(seen, round)).to.equal(once10);
    }
    await worker.terminate();
  });

  it("throws at the barrier what another thread threw, then and ever after", async () => {
    const buffer = memory();
    const worker = await startThread(buffer, 1, 2, `crew.nextCommand(); throw new Error("no such expert")`);
    const crew = new Crew(buffer, 0, 2);
    crew.command(1);
    expect(() => crew.barrier()).to.throw("the wasm engine has stopped: thread 1: no such expert");
    expect(() => crew.barrier()).to.throw("no such expert");
    await worker.terminate();
  });

  it("lets waiting threads go when the thread that commands them fails", async () => {
    const buffer = memory();
    const worker = await startThread(buffer, 1, 2, "crew.nextCommand(); crew.barrier();");
    const crew = new Crew(buffer, 0, 2);
    crew.command(1);
    crew.fail(new Error("out of memory"));
    await once(worker, "exit"); // or it would wait at the barrier for ever
    expect(() => crew.barrier()).to.throw("thread 0: out of memory");
  });
});
