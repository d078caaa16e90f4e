/**
 * Seconds of the routed experts of one layer on the devices that share them, from how often each expert is chosen.
 * SIMULATED figures, and the hot path of the cost model: a layer of 256 experts on 64 devices takes a few microseconds.
 */
import { type ExchangeSeconds, type ExchangeVectors, ExpertExchange } from "./expert-exchange.ts";
import { assignmentsOf, ExpertKernels } from "./expert-kernels.ts";
import type { Job } from "./job.ts";
import type { LayoutSpans } from "./layout.ts";
import type { RoutingProfile } from "./routing-profile.ts";

/** Seconds of the expert kernels of every device, forward, and backward for inputs and for weights. */
export interface ExpertSeconds extends ExchangeSeconds {
  /** [N] assignments */
  readonly assignments: Float64Array;
  /** [D] assignments received */
  readonly rows: Float64Array;
  /** [D] */
  readonly forward: Float64Array;
  readonly inputGradient: Float64Array;
  readonly weightGradient: Float64Array;
}

/** The same for the slowest device alone. */
export interface SlowestSeconds extends ExchangeSeconds {
  readonly forward: number;
  readonly inputGradient: number;
  readonly weightGradient: number;
  /** Assignments on the device that has most. */
  readonly hottestRows: number;
}

export class ExpertCost {
  /** D of the group; each of its members stands for `expertTensor` devices that share its experts' matrices. */
  readonly devices: number;
  /** Tokens that the group routes. */
  readonly tokens: number;
  private readonly kernels: ExpertKernels;
  private readonly exchange: ExpertExchange;
  /** Scratch: assignments of each expert and each device; loads of one device's experts, largest first. */
  private readonly assignments: Float64Array;
  private readonly rows: Float64Array;
  private readonly sorted: Float64Array;

  constructor(job: Job, spans: LayoutSpans) {
    const { model, layout, device } = job;
    this.devices = layout.expert;
    this.exchange = new ExpertExchange(job, spans);
    this.tokens = this.exchange.tokens;
    this.kernels = new ExpertKernels({
      device,
      hiddenSize: model.hiddenSize,
      expertHiddenSize: model.expertHiddenSize / layout.expertTensor,
      gated: model.gated ?? true,
      format: job.products,
      bytesPerValue: job.bytesPerValue,
      gradientTraffic: 2 * job.bytesPerGradient, // added to what is already there
    });
    this.assignments = new Float64Array(model.experts);
    this.rows = new Float64Array(layout.expert);
    this.sorted = new Float64Array(model.experts / layout.expert);
  }

  evaluate(profile: RoutingProfile): ExpertSeconds {
    const { devices, sorted, kernels } = this;
    this.count(profile);
    const rows = this.rows.slice();
    const forward = new Float64Array(devices);
    const inputGradient = new Float64Array(devices);
    const weightGradient = new Float64Array(devices);
    for (let d = 0; d < devices; d++) {
      if (rows[d] === 0) continue;
      const loads = this.loadsOf(d);
      forward[d] = kernels.forward(loads);
      inputGradient[d] = kernels.inputGradient(loads);
      weightGradient[d] = kernels.weightGradient(loads, sorted);
    }
    const assignments = this.assignments.slice();
    return { assignments, rows, forward, inputGradient, weightGradient, ...this.exchange.seconds(profile, rows) };
  }

  /**
   * What the slowest device takes, without the others: the same figures as the largest of `evaluate`. Only devices with
   * nearly as many rows as the hottest are looked at, and of these only those worked out that begin more tiles, fill
   * more experts or may have deeper waves.
   */
  slowest(profile: RoutingProfile): SlowestSeconds {
    const { devices, sorted, kernels, rows } = this;
    const hottest = this.count(profile);
    const most = rows[hottest]!;
    if (most === 0) return { forward: 0, inputGradient: 0, weightGradient: 0, dispatch: 0, combine: 0, hottestRows: 0 };
    const own = this.loadsOf(hottest);
    let forward = kernels.forward(own);
    let inputGradient = kernels.inputGradient(own);
    let weightGradient = kernels.weightGradient(own, sorted);
    const lead = Math.max(sorted.length * kernels.rowStep, most * kernels.spareWave);
    const near = own.filled === sorted.length ? most - lead : 0;
    for (let d = 0; d < devices; d++) {
      if (rows[d]! <= near || d === hottest) continue;
      const loads = this.loadsOf(d);
      if (loads.tiles > own.tiles || loads.filled > own.filled) {
        forward = Math.max(forward, kernels.forward(loads));
        inputGradient = Math.max(inputGradient, kernels.inputGradient(loads));
      }
      if (loads.rows + kernels.spareWave * sorted[0]! > most || loads.filled > own.filled) {
        weightGradient = Math.max(weightGradient, kernels.weightGradient(loads, sorted));
      }
    }
    const { dispatch, combine } = this.exchange.seconds(profile, rows);
    return { forward, inputGradient, weightGradient, dispatch, combine, hottestRows: most };
  }

  /** What one dispatch moves. */
  vectors(profile: RoutingProfile): ExchangeVectors {
    this.count(profile);
    return this.exchange.vectors(profile, this.rows);
  }

  private loadsOf(device: number) {
    return this.kernels.sort(this.assignments, device * this.sorted.length, this.sorted);
  }

  /** Counts the assignments of every expert and device. @returns the device with most */
  private count({ picks }: RoutingProfile): number {
    const { tokens, rows, assignments } = this;
    const perDevice = this.sorted.length;
    let hottest = 0;
    let most = 0;
    let expert = 0;
    for (let d = 0; d < rows.length; d++) {
      let own = 0;
      for (const end = expert + perDevice; expert < end; expert++) {
        const load = assignmentsOf(picks[expert]!, tokens);
        assignments[expert] = load;
        own += load;
      }
      rows[d] = own;
      if (own > most) [most, hottest] = [own, d];
    }
    return hottest;
  }
}
