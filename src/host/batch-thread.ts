/** Entry of a worker thread of the batch router: joins the crew, says so, and obeys until the router is closed. */
import { parentPort, workerData } from "node:worker_threads";
import { BatchRouterThread } from "../engine/batch-router.ts";
import { Crew } from "../engine/wasm/crew.ts";
import type { BatchThreadData } from "./open-batch-router.ts";

const { plan, module, memory, index } = workerData as BatchThreadData;
const thread = new BatchRouterThread(plan, module, memory, new Crew(memory.buffer, index, plan.threads));
parentPort!.postMessage("ready");
thread.obey();
