/** Opens the tfjs engine: picks a TensorFlow.js backend that can really compute, and says which and why. */
import { createRequire, register } from "node:module";
import { dirname, sep } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { RunConfig } from "../config/schema.ts";
import type { Engine } from "../engine/engine.ts";
import { TfjsEngine } from "../engine/tfjs/tfjs-engine.ts";

/** Optional: its install script downloads a native library. The type is `string` so that tsc does not look for it. */
const TENSORFLOW_PACKAGE: string = "@tensorflow/tfjs-node";

/** Makes each backend known to tfjs, in the order of preference. */
const registerBackend = {
  tensorflow: () => import(TENSORFLOW_PACKAGE),
  wasm: async () => {
    const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
    const main = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm");
    setWasmPaths(dirname(main) + sep);
  },
  cpu: () => import("@tensorflow/tfjs-backend-cpu"),
} satisfies Record<string, () => Promise<unknown>>;

type BackendName = keyof typeof registerBackend;

/**
 * @throws Error with one line if the backend that the config names cannot run an op, or if none can
 */
export async function openTfjsEngine(config: RunConfig): Promise<Engine> {
  const { backend: wanted } = config.engine;
  const candidates = wanted === "auto" ? (Object.keys(registerBackend) as BackendName[]) : [wanted];
  const failures: string[] = [];
  await registerGradients();
  for (const name of candidates) {
    const failure = await whyNot(name);
    if (failure === undefined) {
      const because = wanted === "auto" ? failures.join("; ") : "as configured";
      return new TfjsEngine(config, name, `tfjs, backend ${name}${because === "" ? "" : ` (${because})`}`);
    }
    failures.push(`${name}: ${failure}`);
  }
  throw new Error(
    `engine.backend ${wanted} cannot run an op (${failures.join("; ")}); set engine.backend to auto or another backend, or engine.kind to wasm`,
  );
}

const answers = new Map<BackendName, Promise<string | undefined>>();

/** Why a backend cannot compute, in a few words, or undefined if it can. Asked once a process. */
function whyNot(name: BackendName): Promise<string | undefined> {
  const known = answers.get(name) ?? probe(name);
  answers.set(name, known);
  return known;
}

async function probe(name: BackendName): Promise<string | undefined> {
  try {
    await registerBackend[name]();
    if (!(await tf.setBackend(name))) return "it does not start";
    return runsAnOp() ? undefined : "it computes a wrong product";
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const absent = code === "ERR_MODULE_NOT_FOUND" && message.includes(`'${TENSORFLOW_PACKAGE}'`);
    return absent ? `package ${TENSORFLOW_PACKAGE} is not installed` : message.split("\n")[0]!;
  }
}

/** Importing proves nothing: tfjs-node 4.22 imports on Node 23 and later, and fails when an op runs. */
function runsAnOp(): boolean {
  return tf.tidy(() => {
    const square = (x: tf.Tensor) => tf.sum(tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D));
    const gradient = tf
      .grad(square)(tf.tensor2d([1, 2, 3, 4], [2, 2]))
      .dataSync();
    return [7, 11, 9, 13].every((expected, i) => gradient[i] === expected); // (x + xᵀ) row and column sums
  });
}

let gradients: Promise<unknown> | undefined;

/**
 * Registers tfjs's own gradient of every op; the bundle that Node loads as tfjs-core leaves them out. They are
 * published as modules for bundlers, whose imports lack the file extension that Node insists on: a hook adds it.
 * The registry is global, so the bundle and these modules share it.
 */
function registerGradients(): Promise<unknown> {
  if (gradients === undefined) {
    tf.enableProdMode(); // keeps tfjs's advice to install tfjs-node off the terminal
    register(`data:text/javascript,${encodeURIComponent(EXTENSION_HOOK)}`);
    gradients = import("@tensorflow/tfjs-core/dist/register_all_gradients.js");
  }
  return gradients;
}

const EXTENSION_HOOK = `
  export async function resolve(specifier, context, next) {
    const inside = context.parentURL?.includes("/@tensorflow/tfjs-core/dist/") && specifier.startsWith(".");
    return inside ? { ...(await next(specifier + ".js", context)), format: "module" } : next(specifier, context);
  }`;
