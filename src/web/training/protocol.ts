/**
 * What the page and its workers say to each other: plain values, an answer for each order, in their order. The page pulls;
 * a worker does nothing that it was not told.
 */
import type { RunConfig } from "../../config/schema.ts";
import type { NamedText } from "../../data/text.ts";
import type { Step } from "../../simulate.ts";
import type { Phrase } from "../phrase.ts";
import type { RoutedBytes } from "./trainer.ts";

export interface Orders {
  open: { readonly config: RunConfig; readonly texts: readonly NamedText[] };
  step: object;
  look: object;
  route: { readonly bytes: Uint8Array };
}

export interface Answers {
  open: object;
  /** No step when there are no more. */
  step: { readonly step: Step | undefined };
  /** [MoE layers][domains, N], see Trainer.look */
  look: { readonly shares: readonly Float64Array[] };
  /** [MoE layers] */
  route: { readonly layers: readonly RoutedBytes[] };
}

export type OrderName = keyof Orders;

export type Order = { [Name in OrderName]: { readonly order: Name } & Orders[Name] }[OrderName];

/** What went wrong, in one line. */
export interface Failure {
  readonly failure: Phrase;
}
