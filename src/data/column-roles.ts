/** What the columns of a table are, as far as their names tell: programs write the same under many names. */

export type ColumnRole =
  /** Which layer a row is of. */
  | "layer"
  /** Which load of several: of a step, of a variant. */
  | "step"
  /** Tells tokens of the same number apart: requests, ranks, batches. */
  | "sequence"
  | "token"
  /** The number of a row, as pandas writes it below an empty name. */
  | "index"
  /** Which of its choices, or where it goes: told by the rest. */
  | "slot"
  | "expert"
  | "weight"
  | "dropped"
  | "count"
  /** One of many columns, an expert each: expert_0, ep_1. */
  | "expert by number"
  /** One of many columns, a chosen expert each: slot_0, top1. */
  | "choice by number"
  | "weight by number"
  /** One of many columns of which nothing is said but their number. */
  | "number"
  | "other";

/** Without case, spaces and punctuation. */
const named: Readonly<Record<string, ColumnRole>> = Object.fromEntries(
  (
    [
      [
        "layer",
        "layer layerid layeridx layerindex layernumber layernum layerno layername moelayer moelayerid moelayeridx",
      ],
      ["step", "variant step iteration iter forwardpassid globalstep"],
      [
        "sequence",
        "sequence sequenceid seq seqid request requestid reqid sample sampleid prompt promptid batch batchid batchidx rank rankid dprank",
      ],
      ["token", "token tokenid tokenidx tokenindex tokenpos tokenposition position pos row t"],
      ["index", "index idx unnamed0"],
      ["slot", "slot k choice topkidx topkindex device deviceid"],
      [
        "expert",
        "expert expertid expertidx expertindex selectedexpert chosenexpert logicalexpert logicalexpertid topkid",
      ],
      ["weight", "weight prob probability score gate gatevalue gateweight topkweight routingweight selectedprob"],
      ["dropped", "dropped"],
      [
        "count",
        "count counts hits assignments tokens load loads numtokens ntokens tokencount tokencounts activations numassignments expertcount frequency freq",
      ],
    ] as const
  ).flatMap(([role, names]) => names.split(" ").map((name) => [name, role])),
);

const numbered: readonly (readonly [ColumnRole, RegExp])[] = [
  ["number", /^\d+$/],
  ["expert by number", /^(expert|ep|e)\d+$/],
  ["weight by number", /^(weight|w|prob|p|score|gate|topkweight|routingweight|selectedprob)s?\d+$/],
  [
    "choice by number",
    /^(k|top|topk|topkid|slot|choice|id|idx|selected|selectedexpert|chosenexpert|expertid|expertidx)s?\d+$/,
  ],
];

/** What is left of a name when it is written as others write it. */
export const plainName = (column: string): string => column.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");

export function roleOf(column: string): ColumnRole {
  const name = plainName(column);
  if (name === "") return "index";
  return named[name] ?? numbered.find(([, pattern]) => pattern.test(name))?.[0] ?? "other";
}
