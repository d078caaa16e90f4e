/** A setting that a table entry declares for itself; the config schema, the help and the page's form read it. */
export type Knob =
  | {
      readonly kind: "number";
      readonly default: number;
      readonly minimum: number;
      readonly help: string;
      /** Where the default comes from. */
      readonly source?: string;
    }
  | { readonly kind: "boolean"; readonly default: boolean; readonly help: string }
  | {
      readonly kind: "choice";
      readonly default: string;
      readonly options: Readonly<Record<string, string>>;
      readonly help: string;
    };
