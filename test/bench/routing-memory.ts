/** By how many bytes a process grows that routes a matrix of 64 logits a token, and how many its arrays have. */
import { openBatchRouter } from "../../src/host/open-batch-router.ts";
import { placements } from "../../src/placement/placements.ts";
import { cases } from "./routing.ts";

const tokens = Number(process.argv[2]);
const { shape, settings } = cases[0]!;
const deviceOf = placements.contiguous.place(shape.experts, 8);

// The memory of kernels never shrinks, so that what is resident at the end is the most there was. (The system's own
// figure of the most, maxRSS, begins at that of the program that started this one.)
const before = process.memoryUsage.rss();
const router = await openBatchRouter({ shape, settings, tokens, batch: 256, deviceOf }, 2);
for (let i = 0; i < router.logits.length; i++) router.logits[i] = ((i * 2654435761) % 4096) / 1024;
const { assignment, deviceLoad } = router.route();
const bytes = [router.logits, assignment.experts, assignment.weights, deviceLoad].map(({ byteLength }) => byteLength);
const arrays = bytes.reduce((sum, each) => sum + each, 0);
process.stdout.write(JSON.stringify({ grown: process.memoryUsage.rss() - before, arrays }));
router.close();
