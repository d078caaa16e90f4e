/**
 * Seconds of the routed experts of one layer on the devices that share them, from how often each expert is chosen.
 * SIMULATED figures, and the hot path of the cost model: a layer of 256 experts on 64 devices takes a few microseconds.
 */
import { EvenAllToAll, gatherSeconds, hierarchicalAllToAllSeconds } from "./collectives.ts";
import {
  assignmentsOf,
  type ExpertShape,
  expertShape,
  forwardSeconds,
  inputSeconds,
  type Loads,
  sortLoads,
  weightSeconds,
} from "./expert-kernels.ts";
import type { Job } from "./job.ts";
import { routedTokensOf } from "./layer-cost.ts";
import type { LayoutSpans } from "./layout.ts";
import type { RoutingProfile } from "./routing-profile.ts";

/** Seconds of the expert kernels of every device, forward, and backward for inputs and for weights. */
export interface ExpertSeconds {
  /** [D] assignments received */
  readonly rows: Float64Array;
  /** [D] */
  readonly forward: Float64Array;
  readonly inputGradient: Float64Array;
  readonly weightGradient: Float64Array;
  /** One way of the tokens, and the way back of their results. */
  readonly dispatch: number;
  readonly combine: number;
}

/** The same for the slowest device alone. */
export interface SlowestSeconds {
  readonly forward: number;
  readonly inputGradient: number;
  readonly weightGradient: number;
  readonly dispatch: number;
  readonly combine: number;
  /** Assignments on the device that has most. */
  readonly hottestRows: number;
}

export class ExpertCost {
  private readonly job: Job;
  private readonly spans: LayoutSpans;
  /** D of the group; each of its members stands for `expertTensor` devices that share its experts' matrices. */
  readonly devices: number;
  /** Tokens that the group routes. */
  readonly tokens: number;
  private readonly unitOf: Int32Array;
  private readonly nodeOf: Int32Array;
  private readonly nodes: number;
  private readonly shape: ExpertShape;
  private readonly exchange: EvenAllToAll;
  /** Scratch: loads of one device's experts, largest first; and assignments of each device. */
  private readonly sorted: Float64Array;
  private readonly rows: Float64Array;

  constructor(job: Job, spans: LayoutSpans) {
    const { model, layout, topology } = job;
    this.job = job;
    this.spans = spans;
    this.devices = layout.expert;
    this.tokens = routedTokensOf(job) * layout.expert * layout.expertTensor;
    const perDevice = model.experts / layout.expert;
    this.unitOf = Int32Array.from({ length: model.experts }, (_, e) => Math.floor(e / perDevice));
    const inNode = spans.expert.units[0]! * (topology.levels.length > 2 ? spans.expert.units[1]! : 1);
    this.nodes = layout.expert / inNode;
    this.nodeOf = this.unitOf.map((unit) => Math.floor(unit / inNode));
    this.shape = expertShape(job);
    this.exchange = new EvenAllToAll(spans.expert, topology);
    this.sorted = new Float64Array(perDevice);
    this.rows = new Float64Array(layout.expert);
  }

  evaluate(profile: RoutingProfile): ExpertSeconds {
    const { devices, sorted, shape } = this;
    const rows = new Float64Array(devices);
    const forward = new Float64Array(devices);
    const inputGradient = new Float64Array(devices);
    const weightGradient = new Float64Array(devices);
    for (let d = 0; d < devices; d++) {
      const loads = this.loadsOf(d, profile);
      rows[d] = loads.rows;
      if (loads.rows === 0) continue;
      forward[d] = forwardSeconds(shape, loads);
      inputGradient[d] = inputSeconds(shape, loads);
      weightGradient[d] = weightSeconds(shape, loads, sorted);
    }
    const [dispatch, combine] = this.transfers(profile, rows);
    return { rows, forward, inputGradient, weightGradient, dispatch, combine };
  }

  /**
   * What the slowest device takes, without the others: the same figures as the largest of `evaluate`. Only devices with
   * nearly as many rows as the hottest are looked at, and of these only those worked out that begin more tiles, fill
   * more experts or may have deeper waves.
   */
  slowest(profile: RoutingProfile): SlowestSeconds {
    const { devices, sorted, shape, rows } = this;
    const hottest = this.countRows(profile.picks);
    const most = rows[hottest]!;
    if (most === 0) return { forward: 0, inputGradient: 0, weightGradient: 0, dispatch: 0, combine: 0, hottestRows: 0 };
    const own = this.loadsOf(hottest, profile);
    let forward = forwardSeconds(shape, own);
    let inputGradient = inputSeconds(shape, own);
    let weightGradient = weightSeconds(shape, own, sorted);
    const lead = Math.max(sorted.length * shape.rowStep, most * shape.spareWave);
    const near = own.filled === sorted.length ? most - lead : 0;
    for (let d = 0; d < devices; d++) {
      if (rows[d]! <= near || d === hottest) continue;
      const loads = this.loadsOf(d, profile);
      if (loads.tiles > own.tiles || loads.filled > own.filled) {
        forward = Math.max(forward, forwardSeconds(shape, loads));
        inputGradient = Math.max(inputGradient, inputSeconds(shape, loads));
      }
      if (loads.rows + shape.spareWave * sorted[0]! > most || loads.filled > own.filled) {
        weightGradient = Math.max(weightGradient, weightSeconds(shape, loads, sorted));
      }
    }
    const [dispatch, combine] = this.transfers(profile, rows);
    return { forward, inputGradient, weightGradient, dispatch, combine, hottestRows: most };
  }

  /**
   * Bytes of one dispatch, of which combine is the way back.
   * @returns pairBytes [D, D], from row to column; gatheredBytes, of the busiest devices that share experts' matrices
   */
  traffic(profile: RoutingProfile): { readonly pairBytes: Float64Array; readonly gatheredBytes: number } {
    const { devices, nodes, tokens, job } = this;
    const { dispatch, deduplicate, layout, model, bytesPerValue } = job;
    this.countRows(profile.picks);
    const vector = model.hiddenSize * bytesPerValue;
    const fromEach = (hit: number) => (hit * (tokens / layout.expertTensor) * vector) / devices;
    const perNode = devices / nodes;
    const toDevices = profile.hits(this.unitOf, devices).map(fromEach);
    const toNodes = profile.hits(this.nodeOf, nodes).map(fromEach);
    const pairBytes = Float64Array.from({ length: devices * devices }, (_, i) => {
      const [from, to] = [Math.floor(i / devices), i % devices];
      if (dispatch === "all-gather") return (tokens * vector) / devices;
      if (dispatch === "all-to-all") {
        return deduplicate ? toDevices[to]! : (this.rows[to]! * vector) / layout.expertTensor / devices;
      }
      const [fromNode, toNode] = [Math.floor(from / perNode), Math.floor(to / perNode)];
      // Once to each node, to the rank of the same place there, which forwards what all nodes' ranks of its place send.
      if (fromNode !== toNode) return from % perNode === to % perNode ? toNodes[toNode]! : 0;
      return toDevices[to]! * nodes;
    });
    const gatheredBytes = layout.expertTensor === 1 ? 0 : Math.max(...this.rows) * vector;
    return { pairBytes, gatheredBytes };
  }

  /** Sorts the loads of a device's experts into `sorted`. */
  private loadsOf(device: number, { picks }: RoutingProfile): Loads {
    return sortLoads(this.shape, picks, device * this.sorted.length, this.tokens, this.sorted);
  }

  /** Counts the assignments of every device into `rows`. @returns the device with most */
  private countRows(picks: Float64Array): number {
    const { tokens, rows } = this;
    const perDevice = this.sorted.length;
    let hottest = 0;
    let most = 0;
    let expert = 0;
    for (let d = 0; d < rows.length; d++) {
      let own = 0;
      for (const end = expert + perDevice; expert < end; expert++) own += assignmentsOf(picks[expert]!, tokens);
      rows[d] = own;
      if (own > most) [most, hottest] = [own, d];
    }
    return hottest;
  }

  /** Seconds of dispatch and combine. @param rows [D] assignments of each device */
  private transfers(profile: RoutingProfile, rows: Float64Array): [number, number] {
    const { layout, topology, model, bytesPerValue, dispatch, deduplicate } = this.job;
    const { spans, tokens } = this;
    const vector = model.hiddenSize * bytesPerValue;
    if (dispatch === "all-gather") {
      const seconds = gatherSeconds(tokens * vector, spans.expert, topology);
      return [seconds, seconds];
    }
    const gathered =
      layout.expertTensor === 1 ? 0 : gatherSeconds(Math.max(...rows) * vector, spans.expertTensor, topology);
    const perRank = tokens / layout.expertTensor;
    const bytesTo = (unitOf: Int32Array, units: number) =>
      profile.hits(unitOf, units).map((hit) => hit * perRank * vector);
    if (dispatch === "hierarchical") {
      const toDevices = bytesTo(this.unitOf, this.devices);
      const toNodes = bytesTo(this.nodeOf, this.nodes);
      const seconds = hierarchicalAllToAllSeconds(toDevices, toNodes, spans.expert, topology);
      return [seconds + gathered, seconds + gathered];
    }
    const seconds = deduplicate
      ? this.exchange.seconds(bytesTo(this.unitOf, this.devices), 1)
      : this.exchange.seconds(rows, vector / layout.expertTensor);
    return [seconds + gathered, seconds + gathered];
  }
}
