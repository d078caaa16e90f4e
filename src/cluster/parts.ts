/** What the seconds of a piece of work consist of. */
export interface Parts {
  /** Kernels of the mean device. */
  readonly compute: number;
  /** Communication that nothing hides. */
  readonly communication: number;
  /** How much longer the device with most tokens computes than the mean one. */
  readonly hottestWait: number;
  /** What slow devices add. */
  readonly slowWait: number;
  /** Communication beside compute; takes no time of its own and is not in the sum. */
  readonly hidden: number;
}

export const noParts: Parts = { compute: 0, communication: 0, hottestWait: 0, slowWait: 0, hidden: 0 };

export const addParts = (a: Parts, b: Parts): Parts => ({
  compute: a.compute + b.compute,
  communication: a.communication + b.communication,
  hottestWait: a.hottestWait + b.hottestWait,
  slowWait: a.slowWait + b.slowWait,
  hidden: a.hidden + b.hidden,
});

export const scaledParts = (parts: Parts, factor: number): Parts => ({
  compute: parts.compute * factor,
  communication: parts.communication * factor,
  hottestWait: parts.hottestWait * factor,
  slowWait: parts.slowWait * factor,
  hidden: parts.hidden * factor,
});

/** compute + communication + hottestWait + slowWait, added in this order. */
export const secondsOf = ({ compute, communication, hottestWait, slowWait }: Parts): number =>
  compute + communication + hottestWait + slowWait;
