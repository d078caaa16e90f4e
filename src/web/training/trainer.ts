/**
 * One model in training, pulled a step at a time: the same core as `moge run`, on one thread. It knows nothing of workers
 * and messages, so that Node can run it too.
 */
import type { RunConfig } from "../../config/schema.ts";
import type { TokenSource } from "../../data/source.ts";
import { type NamedText, textSource } from "../../data/text.ts";
import type { Engine } from "../../engine/engine.ts";
import { openOnThisThread } from "../../engine/wasm/one-thread.ts";
import { webAssembly } from "../../engine/wasm/webassembly.ts";
import { domainShares } from "../../metrics/domain-metrics.ts";
import { type Simulation, type Step, simulate } from "../../simulate.ts";

/** Where the bytes of a text go, in one MoE layer. */
export interface RoutedBytes {
  /** Experts a byte has. */
  readonly slots: number;
  /** [bytes, slots] */
  readonly experts: Int32Array;
  /** [bytes, slots] gate weights */
  readonly weights: Float32Array;
}

/** Held-out sequences of a domain that `look` routes. */
const LOOKED_AT = 4;

/** A byte that ends a text which is not a whole sequence. What follows a byte does not change where it goes. */
const FILLER = 32;

export class Trainer {
  private readonly config: RunConfig;
  private readonly engine: Engine;
  private readonly data: TokenSource;
  private readonly simulation: Simulation;

  /**
   * @param texts in the order of the config's domains, already cut
   * @param kernels the wasm module without shared memory
   * @throws DataError, ModelTooLargeError
   */
  constructor(config: RunConfig, texts: readonly NamedText[], kernels: Uint8Array) {
    if (config.data.kind !== "text") throw new Error("the page trains on text");
    const { validationFraction } = config.data;
    this.config = config;
    this.data = textSource(texts, { context: config.model.context, seed: config.seed, validationFraction });
    const module = new webAssembly.Module(kernels);
    this.engine = openOnThisThread(config, module, "wasm, plain SIMD kernels (the same bits everywhere), 1 thread");
    this.simulation = simulate(config, { engine: this.engine, data: this.data });
  }

  /** @returns undefined when there are no more steps @throws DivergenceError */
  step(): Step | undefined {
    return this.simulation.next().value ?? undefined;
  }

  /** How often the bytes of each domain, held out, take each expert. @returns [MoE layers][domains, N] */
  look(): Float64Array[] {
    const { experts, context } = this.config.model;
    const sequences = Math.min(LOOKED_AT, this.config.training.sequences);
    const layers: Float64Array[][] = [];
    this.data.domains.forEach((_, domain) => {
      this.engine.evaluate(this.data.validation(domain, sequences), domain);
      this.engine.evaluatedRouting().forEach((choice, layer) => {
        const domains = new Int32Array(sequences * context);
        (layers[layer] ??= []).push(domainShares({ choice, experts, domains }));
      });
    });
    return layers.map((rows) => Float64Array.from(rows.flatMap((row) => [...row])));
  }

  /**
   * Where each byte of a text goes. A text longer than a sequence is read in windows that overlap by half, so that a byte
   * is seen after half a sequence at least.
   * @returns [MoE layers]
   */
  route(bytes: Uint8Array): RoutedBytes[] {
    const { context } = this.config.model;
    const stride = Math.ceil(context / 2);
    const windows = Math.min(
      1 + Math.max(0, Math.ceil((bytes.length - context) / stride)),
      this.config.training.ranks * this.config.training.sequences,
    );
    const tokens = new Uint8Array(windows * (context + 1)).fill(FILLER);
    for (let w = 0; w < windows; w++) tokens.set(bytes.subarray(w * stride, w * stride + context), w * (context + 1));
    this.engine.evaluate(tokens);
    const count = Math.min(bytes.length, context + (windows - 1) * stride);
    return this.engine.evaluatedRouting().map(({ slots, experts, weights }) => {
      const routed = {
        slots,
        experts: new Int32Array(count * slots),
        weights: new Float32Array(count * slots),
      };
      for (let at = 0; at < count; at++) {
        const w = at < context ? 0 : 1 + Math.floor((at - context) / stride);
        const from = (w * context + at - w * stride) * slots;
        routed.experts.set(experts.subarray(from, from + slots), at * slots);
        routed.weights.set(weights.subarray(from, from + slots), at * slots);
      }
      return routed;
    });
  }
}
