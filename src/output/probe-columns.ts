/** The CSV files of what trained routers do with each domain, written when a variant with a `probe` section finishes. */
import type { Probe, ProbedDomain, ProbedLayer } from "../experiment/probe.ts";
import { forEachPair } from "../metrics/co-activation.ts";
import type { Column } from "./columns.ts";
import type { Cell } from "./csv-text.ts";

interface ProbeRow {
  readonly variant: string;
  readonly layer: number;
}
interface DomainRow extends ProbeRow {
  readonly probed: ProbedDomain & { readonly lossNatsPerByte: number };
}
interface ExpertRow extends DomainRow {
  readonly expert: number;
}
interface PairRow extends ProbeRow {
  readonly expert: number;
  readonly other: number;
  readonly tokens: number;
}

interface ProbeTable {
  readonly description: string;
  readonly columns: Readonly<Record<string, Column<never>>>;
  cells(variant: string, probe: Probe): Cell[][];
}

const table = <Row>(
  description: string,
  columns: Readonly<Record<string, Column<Row>>>,
  rows: (variant: string, probe: Probe) => Row[],
): ProbeTable => ({
  description,
  columns,
  cells: (variant, probe) => rows(variant, probe).map((row) => Object.values(columns).map((each) => each.value(row))),
});

const place = {
  variant: { unit: "text", description: "name of the variant", value: ({ variant }: ProbeRow) => variant },
  layer: { unit: "index", description: "transformer layer, from 0", value: ({ layer }: ProbeRow) => layer },
};
const domain = {
  domain: { unit: "text", description: "name of the domain", value: ({ probed }: DomainRow) => probed.domain },
};

const domainRows = (variant: string, { domains }: Probe): DomainRow[] =>
  domains.map((probed) => ({ variant, layer: probed.layer, probed }));

const pairRows = (variant: string, { layer, together, deviceOf }: ProbedLayer): PairRow[] => {
  const rows: PairRow[] = [];
  forEachPair(deviceOf.length, (expert, other) => {
    rows.push({ variant, layer, expert, other, tokens: together[expert * deviceOf.length + other]! });
  });
  return rows;
};

export const probeTables = {
  "probe.csv": table<DomainRow>(
    "What the trained routers do with held-out text of each domain; means over its batches.",
    {
      ...place,
      ...domain,
      tokens: {
        unit: "tokens",
        description: "tokens of the domain that the routers were shown",
        value: ({ probed }) => probed.tokens,
      },
      loss_nats_per_byte: {
        unit: "nats per byte",
        description: "mean cross-entropy",
        value: ({ probed }) => probed.lossNatsPerByte,
      },
      device_imbalance_score: {
        unit: "assignments per token",
        description: "imbalance score of the device loads",
        value: ({ probed }) => probed.imbalanceScore,
      },
      device_max_over_mean: {
        unit: "1",
        description: "hottest device over the mean",
        value: ({ probed }) => probed.deviceMaxOverMean,
      },
      expert_max_over_mean: {
        unit: "1",
        description: "hottest expert over the mean",
        value: ({ probed }) => probed.expertMaxOverMean,
      },
      fan_out_devices_per_token: {
        unit: "devices per token",
        description: "distinct devices that a token's experts lie on",
        value: ({ probed }) => probed.fanOut,
      },
    },
    domainRows,
  ),
  "probe-experts.csv": table<ExpertRow>(
    "Which experts each domain uses.",
    {
      ...place,
      ...domain,
      expert: { unit: "index", description: "expert, from 0", value: ({ expert }) => expert },
      assignments: {
        unit: "assignments",
        description: "of all batches",
        value: ({ probed, expert }) => probed.expertLoad[expert]!,
      },
    },
    (variant, probe) =>
      domainRows(variant, probe).flatMap((row) => row.probed.expertLoad.map((_, expert) => ({ ...row, expert }))),
  ),
  "probe-pairs.csv": table<PairRow>(
    "Which experts are chosen together: each pair once, all domains.",
    {
      ...place,
      expert: { unit: "index", description: "expert, from 0", value: ({ expert }) => expert },
      other: { unit: "index", description: "the other expert, of a higher number", value: ({ other }) => other },
      tokens: { unit: "tokens", description: "tokens that chose both", value: ({ tokens }) => tokens },
    },
    (variant, { layers }) => layers.flatMap((layer) => pairRows(variant, layer)),
  ),
} satisfies Record<string, ProbeTable>;
