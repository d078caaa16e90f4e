/**
 * The router of one MoE layer as both engines run it, after its projection: noise, choice, capacity, weights and
 * balancing losses forwards, and the gradient backwards. The rules are those of routing/ and balance/; an engine lends
 * the memory, which several threads may share, and calls the parts in order.
 */
import {
  type Balance,
  balanceBackward,
  balanceForward,
  countSequence,
  isObserved,
  newBalance,
  observe,
  startStep,
} from "../balance/balance.ts";
import type { Sums } from "../balance/rule.ts";
import { settingsOfLayer } from "../balance/rules.ts";
import type { BalanceShape } from "../balance/statistic.ts";
import { balanceShape, noiseOf, routingSettings } from "../config/router-settings.ts";
import type { RunConfig } from "../config/schema.ts";
import type { Floats } from "../core/floats.ts";
import { randomStream } from "../core/random.ts";
import { type Assignment, countLoad, type TokenRange } from "../routing/assignment.ts";
import { type RouteFacts, type Routing, type RoutingGradients, route, routeBackward } from "../routing/route.ts";
import type { RouterPromises } from "../routing/router.ts";
import { routerNamed } from "../routing/routers.ts";

/** What a router works on: P places for micro-batches and evaluation, S sequences and T tokens in each. */
export interface RouterMemory {
  /** [T, N] the projection, before any noise */
  readonly logits: Floats;
  /** Where the router adds noise. [T, N] each; `raw`, the second projection, for learned noise alone */
  readonly noise?: { readonly raw?: Floats | undefined; readonly noisy: Floats; readonly draws: Floats } | undefined;
  /** [T, N] */
  readonly scores: Floats;
  /** [P] */
  readonly places: readonly RoutedPlace[];
  /** [S, width] each: sums of the statistics that balancing needs */
  readonly sums: Sums;
  /** [S, N] assignments that are left after dropping */
  readonly load: Floats;
  /** [N] selection bias */
  readonly bias: Float64Array;
  /** [balancing rules] what losses carry from step to step */
  readonly state: Float64Array;
  /** [N] learned scales of the experts' weights */
  readonly expertScale?: Floats | undefined;
  /** Of the tokens; `expertScale` is [S, N] here. */
  readonly gradients: RoutingGradients;
}

/** What one micro-batch leaves behind. [T, slots] each */
export interface RoutedPlace {
  readonly assignment: Assignment;
  /** The experts before dropping; the assignment's own where nothing drops. */
  readonly chosen: Int32Array;
}

/** One walk of a batch through the layer. */
export interface RoutedPass {
  readonly place: number;
  readonly sequences: number;
  readonly training: boolean;
  /** Optimizer step, from 1. */
  readonly step: number;
  /** [S, context + 1] */
  readonly tokens: Uint8Array;
  /** [S] */
  readonly domains: Int32Array;
}

export class LayerRouter {
  readonly balance: Balance;
  readonly memory: RouterMemory;
  readonly shape: BalanceShape;
  /** Whether every token is routed by itself: then any part of a batch may be routed anywhere. */
  readonly isTokenwise: boolean;
  private readonly config: RunConfig;
  private readonly layer: number;
  private readonly promises: RouterPromises;
  /** Whether the router, or who finds room, is drawn. */
  private readonly draws: boolean;
  private readonly routings: readonly Routing[];
  private lossSum = 0;

  /** @param layer among the MoE layers */
  constructor(config: RunConfig, layer: number, memory: RouterMemory) {
    const { model, training } = config;
    const settings = { ...routingSettings(config), expertScale: memory.expertScale };
    const shape = balanceShape(config);
    const { logits, scores, noise } = memory;
    this.config = config;
    this.layer = layer;
    this.memory = memory;
    this.shape = shape;
    this.promises = routerNamed(settings.selection).promises;
    this.draws = this.promises.stochastic === true || settings.capacity?.order === "random";
    this.isTokenwise = this.promises.perToken && !this.promises.stochastic && settings.capacity === undefined;
    this.routings = memory.places.map(({ assignment, chosen }) => {
      const common = { shape, settings, scores, chosen, assignment };
      if (noise === undefined) return { ...common, logits };
      const { raw, noisy, draws } = noise;
      return { ...common, logits: noisy, noise: { settings: noiseOf(config)!, clean: logits, raw, draws } };
    });
    const balance = { settings: settingsOfLayer(config.balance, layer), shape, ranks: training.ranks };
    const sequences = training.ranks * training.sequences;
    this.balance = newBalance({ ...balance, sequenceLength: model.context }, sequences, memory.sums, memory.state);
  }

  /** Mean over the micro-batches of the step. */
  get balanceLoss(): number {
    return this.lossSum / this.config.training.microBatches;
  }

  startStep(): void {
    startStep(this.balance);
    this.lossSum = 0;
  }

  /** The runs of sequences that a rule which looks at a whole batch sees apart: each rank's, or all to evaluate. */
  batches({ sequences, training }: RoutedPass): TokenRange[] {
    const ranks = training ? this.config.training.ranks : 1;
    const each = sequences / ranks;
    return Array.from({ length: ranks }, (_, rank) => ({ first: rank * each, last: (rank + 1) * each }));
  }

  /** Logits → weights for some sequences: one of `batches`, or any if the router is tokenwise. */
  route(pass: RoutedPass, sequences: TokenRange): void {
    route(this.routings[pass.place]!, this.facts(pass, sequences), this.tokensOf(sequences));
  }

  /** Counts what some sequences got. */
  count({ place, training }: RoutedPass, { first, last }: TokenRange): void {
    const routing = this.routings[place]!;
    const { experts } = routing.shape;
    for (let sequence = first; sequence < last; sequence++) {
      const load = this.memory.load.subarray(sequence * experts, (sequence + 1) * experts).fill(0);
      countLoad(routing.assignment, load, this.tokensOf({ first: sequence, last: sequence + 1 }));
      if (training) countSequence(this.balance, routing, sequence);
    }
  }

  /** The balancing losses of a micro-batch. All sequences must be counted; every thread does the same sum. */
  balanceForward(): void {
    this.lossSum += balanceForward(this.balance, 1 / this.config.training.microBatches);
  }

  /** Shows the bias rules a micro-batch: for one thread, when all tokens are routed. */
  observe({ place }: RoutedPass): void {
    if (isObserved(this.balance)) observe(this.balance, this.routings[place]!, this.memory.bias);
  }

  /** From the gradient by the weights of some sequences to that by their logits, both in the memory's gradients. */
  backward({ place }: RoutedPass, { first, last }: TokenRange): void {
    const routing = this.routings[place]!;
    const { expertScale, ...gradients } = this.memory.gradients;
    const { experts } = routing.shape;
    const addGradient = balanceBackward(this.balance, routing);
    for (let sequence = first; sequence < last; sequence++) {
      const ofSequence = expertScale?.subarray(sequence * experts, (sequence + 1) * experts).fill(0);
      const tokens = this.tokensOf({ first: sequence, last: sequence + 1 });
      routeBackward(routing, { ...gradients, expertScale: ofSequence }, addGradient, tokens);
    }
  }

  private tokensOf({ first, last }: TokenRange): TokenRange {
    const { context } = this.config.model;
    return { first: first * context, last: last * context };
  }

  private facts({ training, step, place, tokens, domains }: RoutedPass, { first, last }: TokenRange): RouteFacts {
    const { promises, layer, config } = this;
    const { context } = config.model;
    const when = training ? [step, place] : ["evaluation"];
    const ofTokens = (value: (sequence: number, position: number) => number) => {
      const values = new Int32Array(last * context);
      for (let t = first * context; t < last * context; t++) values[t] = value(Math.floor(t / context), t % context);
      return values;
    };
    return {
      training,
      bias: this.memory.bias,
      ...(this.draws && { random: randomStream(config.seed, "router", layer, ...when, first) }),
      ...(promises.needs?.includes("tokenIds") && {
        tokenIds: ofTokens((sequence, position) => tokens[sequence * (context + 1) + position]!),
      }),
      ...(promises.needs?.includes("domains") && { domains: ofTokens((sequence) => domains[sequence]!) }),
    };
  }
}
