/** A published figure and what the model says to it. */

export const classes = {
  E: "exact: follows from definitions",
  C: "calibration: a constant was fitted to it, so that passing proves nothing",
  V: "held out: no constant was fitted to it, which does not mean that nobody had seen it",
} as const;

export type RowClass = keyof typeof classes;

/** How far a prediction may be off: a share of the published figure, an amount in its unit, a factor, or a range. */
export type Tolerance =
  | { readonly kind: "share"; readonly share: number }
  | { readonly kind: "amount"; readonly amount: number }
  | { readonly kind: "factor"; readonly factor: number }
  | { readonly kind: "range"; readonly low: number; readonly high: number };

export interface ValidationRow {
  /** Number in the reference's list of targets. */
  readonly target: number;
  readonly class: RowClass;
  readonly title: string;
  readonly unit: string;
  /** Of a range, its middle. */
  readonly published: number;
  readonly tolerance: Tolerance;
  readonly source: string;
  /** Why a held-out row is missed, where it is; or what was assumed. */
  readonly note?: string;
  predict(): number;
}

export interface CheckedRow extends Omit<ValidationRow, "predict"> {
  readonly predicted: number;
  /** predicted/published − 1 */
  readonly error: number;
  readonly within: boolean;
}

export const within = (share: number): Tolerance => ({ kind: "share", share });
export const byAmount = (amount: number): Tolerance => ({ kind: "amount", amount });
export const between = (low: number, high: number): Tolerance => ({ kind: "range", low, high });

export function checkRow({ predict, ...row }: ValidationRow): CheckedRow {
  const predicted = predict();
  const { published, tolerance } = row;
  const error = predicted / published - 1;
  const isWithin = () => {
    switch (tolerance.kind) {
      case "share":
        return Math.abs(error) <= tolerance.share + 1e-12;
      case "amount":
        return Math.abs(predicted - published) <= tolerance.amount;
      case "factor":
        return predicted <= published * tolerance.factor && predicted >= published / tolerance.factor;
      case "range":
        return predicted >= tolerance.low && predicted <= tolerance.high;
    }
  };
  return { ...row, predicted, error, within: isWithin() };
}
