/** Blocks: devices of a stage that wait for one another within a micro-batch, and how fast they are. */
import type { Job, Routing } from "./job.ts";
import { deviceAt, strides } from "./layout.ts";

/** Speeds of a block: the slowest of its devices, and the slowest that stand for each expert-parallel rank. */
export interface BlockSpeeds {
  readonly slowest: number;
  readonly ofRank: Float64Array;
}

export class Blocks {
  private readonly job: Job;
  private readonly blockSize: number;
  private readonly blockCount: number;

  constructor(job: Job) {
    const { model, layout } = job;
    this.job = job;
    const replica = layout.tensor * layout.context;
    const sharing = model.experts > 0 ? layout.expert * layout.expertTensor : 1;
    this.blockSize = leastCommonMultiple(replica, sharing);
    this.blockCount = (replica * layout.data) / this.blockSize;
  }

  /** The blocks that may differ from one another: one of the ordinary ones, and each that is routed or runs apart. */
  distinct(routing: Routing): number[] {
    const { speeds } = this.job;
    if (routing.blocks > 1) return Array.from({ length: this.blockCount }, (_, block) => block);
    const slow = new Set<number>();
    for (const [device, speed] of speeds) if (speed !== 1) slow.add(this.blockOf(device));
    for (let block = 0; block < this.blockCount && slow.size < this.blockCount; block++) {
      if (!slow.has(block)) return [block, ...slow];
    }
    return [...slow];
  }

  private blockOf(device: number): number {
    const { layout } = this.job;
    const stride = strides(layout);
    const place = (dimension: "tensor" | "context" | "data") =>
      Math.floor(device / stride[dimension]) % layout[dimension];
    const inStage = place("tensor") + layout.tensor * (place("context") + layout.context * place("data"));
    return Math.floor(inStage / this.blockSize);
  }

  speedsOf(block: number, stage: number): BlockSpeeds {
    const { layout, speeds } = this.job;
    const ofRank = new Float64Array(layout.expert).fill(1);
    if (speeds.size === 0) return { slowest: 1, ofRank };
    const stride = strides(layout);
    let slowest = 1;
    for (let i = 0; i < this.blockSize; i++) {
      const inStage = block * this.blockSize + i;
      const device = deviceAt(stride, {
        tensor: inStage % layout.tensor,
        context: Math.floor(inStage / layout.tensor) % layout.context,
        data: Math.floor(inStage / layout.tensor / layout.context),
        pipeline: stage,
      });
      const speed = speeds.get(device) ?? 1;
      const rank = Math.floor(i / layout.expertTensor) % layout.expert;
      ofRank[rank] = Math.min(ofRank[rank]!, speed);
      slowest = Math.min(slowest, speed);
    }
    return { slowest, ofRank };
  }
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return (a * b) / x;
}
