/** Which file or flag set each value of a resolved config. */
import { leaves, valueAt } from "./layers.ts";
import type { ResolvedConfig } from "./resolve.ts";

export interface OriginOfValue {
  /** Empty where all variants agree on value and origin. */
  readonly variant: string;
  /** Dotted. */
  readonly key: string;
  readonly value: unknown;
  /** `file:line:column`, a flag, or `default`. */
  readonly origin: string;
}

/** Every value of every variant; what all share comes first. */
export function describeOrigins({ variants }: ResolvedConfig): OriginOfValue[] {
  const described = variants.map(({ name, config, origins }) =>
    leaves(config).map((key) => ({
      variant: name,
      key,
      value: valueAt(config, key),
      origin: origins.get(key) ?? "default",
    })),
  );
  const same = (a: OriginOfValue, b: OriginOfValue) =>
    a.key === b.key && a.origin === b.origin && JSON.stringify(a.value) === JSON.stringify(b.value);
  const isShared = (row: OriginOfValue) => described.every((rows) => rows.some((other) => same(row, other)));
  const shared = (described[0] ?? []).filter(isShared).map((row) => ({ ...row, variant: "" }));
  return [...shared, ...described.flatMap((rows) => rows.filter((row) => !isShared(row)))];
}
