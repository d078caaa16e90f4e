/** How tokens reach the experts of a layer and their results come back: seconds, and vectors between devices. SIMULATED. */
import { EvenAllToAll, hierarchicalAllToAllSeconds } from "./all-to-all.ts";
import { gatherPairBytes, gatherSeconds } from "./gather.ts";
import type { Job } from "./job.ts";
import { routedTokensOf } from "./layer-cost.ts";
import type { LayoutSpans } from "./layout.ts";
import type { RoutingProfile } from "./routing-profile.ts";

export interface ExchangeSeconds {
  /** One way of the tokens. */
  readonly dispatch: number;
  /** The way back of their results. */
  readonly combine: number;
}

/** What one dispatch moves, in vectors of H values; combine moves as many back. */
export interface ExchangeVectors {
  /** [D, D] from row to column of the expert-parallel group */
  readonly pairs: Float64Array;
  /** All-gathered between the devices that share an expert's matrices, on the busiest of them. */
  readonly gathered: number;
}

export class ExpertExchange {
  /** Tokens that the group routes. */
  readonly tokens: number;
  private readonly job: Job;
  private readonly spans: LayoutSpans;
  /** D */
  private readonly devices: number;
  private readonly nodes: number;
  /** [N] */
  private readonly unitOf: Int32Array;
  private readonly nodeOf: Int32Array;
  private readonly plain: EvenAllToAll;

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
    this.plain = new EvenAllToAll(spans.expert, topology);
  }

  /** @param rows [D] assignments of each device */
  seconds(profile: RoutingProfile, rows: Float64Array): ExchangeSeconds {
    const { bytesPerDispatched, bytesPerValue, dispatch, deduplicate } = this.job;
    const isStaged = dispatch === "hierarchical" || dispatch === "streamed";
    const toDevices = isStaged || deduplicate ? profile.hits(this.unitOf, this.devices) : rows;
    const toNodes = isStaged ? profile.hits(this.nodeOf, this.nodes) : rows;
    const combine = this.oneWay(rows, toDevices, toNodes, bytesPerValue);
    if (bytesPerDispatched === bytesPerValue) return { dispatch: combine, combine };
    return { dispatch: this.oneWay(rows, toDevices, toNodes, bytesPerDispatched), combine };
  }

  /**
   * Seconds of one way, with values of so many bytes.
   * @param toDevices [D] how often a token needs each, where it travels once; otherwise assignments
   * @param toNodes [nodes] the same
   */
  private oneWay(rows: Float64Array, toDevices: Float64Array, toNodes: Float64Array, bytesPerValue: number): number {
    const { layout, topology, dispatch, deduplicate, model } = this.job;
    const { spans, tokens } = this;
    const vector = model.hiddenSize * bytesPerValue;
    if (dispatch === "all-gather") return gatherSeconds(tokens * vector, spans.expert, topology);
    const gathered =
      layout.expertTensor === 1 ? 0 : gatherSeconds(Math.max(...rows) * vector, spans.expertTensor, topology);
    const each = (tokens / layout.expertTensor) * vector;
    if (dispatch === "all-to-all") {
      return this.plain.seconds(toDevices, deduplicate ? each : vector / layout.expertTensor) + gathered;
    }
    const stages = dispatch === "streamed" ? "side by side" : "one after the other";
    const [devices, nodes] = [toDevices.map((hit) => hit * each), toNodes.map((hit) => hit * each)];
    return hierarchicalAllToAllSeconds(devices, nodes, spans.expert, topology, stages) + gathered;
  }

  /** @param rows [D] assignments of each device */
  vectors(profile: RoutingProfile, rows: Float64Array): ExchangeVectors {
    const { job, devices, tokens } = this;
    const { layout } = job;
    const vectorsOf = this.vectorsBetween(profile, rows);
    const pairs = new Float64Array(devices * devices);
    for (let from = 0; from < devices; from++) {
      for (let to = 0; to < devices; to++) if (from !== to) pairs[from * devices + to] = vectorsOf(from, to);
    }
    if (job.dispatch === "all-gather") return { pairs, gathered: 0 };
    return { pairs, gathered: layout.expertTensor === 1 || tokens === 0 ? 0 : Math.max(...rows) };
  }

  private vectorsBetween(profile: RoutingProfile, rows: Float64Array): (from: number, to: number) => number {
    const { job, spans, devices, nodes, tokens } = this;
    const { dispatch, deduplicate, layout, topology } = job;
    if (dispatch === "all-gather") {
      // Which way is cheaper may depend on size: that of the results decides, as it does for the seconds of combine.
      const vector = job.model.hiddenSize * job.bytesPerValue;
      const bytesOf = gatherPairBytes(tokens * vector, spans.expert, topology);
      return (from, to) => bytesOf(from, to) / vector;
    }
    const tokensEach = tokens / layout.expertTensor / devices;
    if (dispatch === "all-to-all" && !deduplicate) return (_, to) => rows[to]! / layout.expertTensor / devices;
    const toDevices = profile.hits(this.unitOf, devices);
    if (dispatch === "all-to-all") return (_, to) => toDevices[to]! * tokensEach;
    const toNodes = profile.hits(this.nodeOf, nodes);
    const perNode = devices / nodes;
    // Once to each node, to the rank of the same place there, which forwards what all nodes' ranks of its place send.
    return (from, to) => {
      const toNode = Math.floor(to / perNode);
      if (Math.floor(from / perNode) === toNode) return toDevices[to]! * tokensEach * nodes;
      return from % perNode === to % perNode ? toNodes[toNode]! * tokensEach : 0;
    };
  }
}
