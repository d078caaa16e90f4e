/** The whole page. */
import { batchKernel } from "packaged:batch";
import { routeByKernel } from "./batch/pass.ts";
import { batch } from "./scenes/batch.tsx";
import { journey } from "./scenes/journey.tsx";
import { results } from "./scenes/results.tsx";
import { training } from "./scenes/training.tsx";
import { start } from "./start.tsx";
import { work } from "./training/worker.ts";

// The worker that trains runs this same script, so that the core is in the page once.
if (typeof document === "undefined") work();
else {
  routeByKernel(batchKernel);
  start([journey, batch, training, results]);
}
