/** How long it takes merely to read memory: what no router that reads its logits can be faster than. */
import { Worker } from "node:worker_threads";

/** Reads a share of shared memory when told, as doubles with eight sums at a time; memory, not the sums, is the limit. */
const READER = `
  const { parentPort, workerData: { buffer, offset, length } } = require("node:worker_threads");
  const values = new Float64Array(buffer, offset, length);
  parentPort.on("message", () => {
    let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i + 8 <= length; i += 8) {
      a += values[i]; b += values[i + 1]; c += values[i + 2]; d += values[i + 3];
      e += values[i + 4]; f += values[i + 5]; g += values[i + 6]; h += values[i + 7];
    }
    parentPort.postMessage(a + b + c + d + e + f + g + h);
  });`;

const readers = new WeakMap<ArrayBufferLike, readonly Worker[]>();

/** Seconds to read an array in shared memory once with so many threads. */
export async function readingSeconds({ buffer, byteOffset, length }: Float32Array, threads: number): Promise<number> {
  const share = Math.floor(length / 2 / threads);
  const workers =
    readers.get(buffer) ??
    Array.from({ length: threads }, (_, i) => {
      const workerData = { buffer, offset: byteOffset + 8 * i * share, length: share };
      const worker = new Worker(READER, { eval: true, workerData });
      worker.unref();
      return worker;
    });
  readers.set(buffer, workers);
  const start = performance.now();
  await Promise.all(
    workers.map(
      (worker) =>
        new Promise((resolve) => {
          worker.once("message", resolve);
          worker.postMessage("read");
        }),
    ),
  );
  return (performance.now() - start) / 1000;
}
