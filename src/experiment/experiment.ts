/** What an experiment is: one question, the tables that answer it and the claims that the tables must bear out. */

/** Column → value; every row of a table has the same columns, in the same order. An undefined cell stays empty. */
export type Row = Readonly<Record<string, number | string | undefined>>;

export interface Claim<Tables> {
  /** One sentence with its numbers, true or false. */
  readonly text: string;
  holds(tables: Tables): boolean;
}

/** @typeParam Returned a promise of the tables where models are trained first */
export interface Experiment<Options, Tables extends Readonly<Record<string, readonly Row[]>>, Returned = Tables> {
  /** The file's name, and that of its folder under results. */
  readonly name: string;
  readonly title: string;
  readonly question: string;
  readonly defaults: Options;
  /** Pure: the same options give the same tables, to the bit. */
  run(options: Options): Returned;
  readonly claims: readonly Claim<Tables>[];
}
