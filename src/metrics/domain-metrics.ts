/**
 * The table of metrics of domain specialisation: what the experts of a token say of the domain that it comes from.
 * A new one is one entry here.
 */
import { log } from "../core/elementary.ts";
import { mean } from "../core/statistics.ts";
import { type Choice, NO_EXPERT } from "../routing/assignment.ts";
import type { MetricDescription } from "./metric.ts";

/** A choice and where its tokens come from. */
export interface DomainBatch {
  readonly choice: Choice;
  /** N */
  readonly experts: number;
  /** [T] the domain of each token, from 0 */
  readonly domains: ArrayLike<number>;
}

export interface DomainMetric extends MetricDescription {
  /** NaN without assignments. */
  of(batch: DomainBatch): number;
}

/** Assignments by domain and expert. @returns [domains, N]; there are as many domains as the largest number asks for */
export function domainLoads({ choice, experts, domains }: DomainBatch): Float64Array {
  const { tokens, slots } = choice;
  let count = 0;
  for (let t = 0; t < tokens; t++) count = Math.max(count, domains[t]! + 1);
  const loads = new Float64Array(count * experts);
  for (let t = 0; t < tokens; t++) {
    const row = domains[t]! * experts;
    for (let j = t * slots; j < (t + 1) * slots; j++) {
      const expert = choice.experts[j]!;
      if (expert !== NO_EXPERT) loads[row + expert] = loads[row + expert]! + 1;
    }
  }
  return loads;
}

/**
 * How often the tokens of each domain take each expert: N_{e,d} / N_d of OLMoE, arXiv:2409.02060, section 5.3. A row
 * sums to the mean number of experts a token; K/N everywhere is no specialisation.
 * @returns [domains, N]
 */
export function domainShares(batch: DomainBatch): Float64Array {
  const { experts, domains, choice } = batch;
  const tokensOf = new Float64Array(domainLoads(batch).length / experts);
  for (let t = 0; t < choice.tokens; t++) tokensOf[domains[t]!] = tokensOf[domains[t]!]! + 1;
  return domainLoads(batch).map((load, i) => load / tokensOf[Math.floor(i / experts)]!);
}

/**
 * How differently the domains use the experts: the mean over domains of ½ Σ_e |p(e | domain) − p(e)|, the total
 * variation distance from the domains' mean. 0: all use them alike; near 1: each has experts of its own. Unlike the
 * metrics of the table it weighs all domains alike, however many tokens of each were seen.
 * @param loads [domains][N] assignments
 */
export function domainVariation(loads: readonly (readonly number[])[]): number {
  const shares = loads.map((load) => {
    const total = load.reduce((sum, each) => sum + each, 0);
    return load.map((each) => each / total);
  });
  const pooled = shares[0]!.map((_, expert) => mean(shares.map((share) => share[expert]!)));
  return mean(shares.map((share) => share.reduce((sum, each, e) => sum + Math.abs(each - pooled[e]!), 0) / 2));
}

interface Marginals {
  readonly loads: Float64Array;
  readonly ofDomain: Float64Array;
  readonly ofExpert: Float64Array;
  readonly total: number;
}

function marginals(batch: DomainBatch): Marginals {
  const { experts } = batch;
  const loads = domainLoads(batch);
  const ofDomain = new Float64Array(loads.length / experts);
  const ofExpert = new Float64Array(experts);
  let total = 0;
  loads.forEach((load, i) => {
    const domain = Math.floor(i / experts);
    ofDomain[domain] = ofDomain[domain]! + load;
    ofExpert[i % experts] = ofExpert[i % experts]! + load;
    total += load;
  });
  return { loads, ofDomain, ofExpert, total };
}

/** Of nats. */
const bits = (nats: number): number => nats / Math.LN2;

function entropyBits(counts: Float64Array, total: number): number {
  let nats = 0;
  for (const count of counts) if (count > 0) nats -= (count / total) * log(count / total);
  return bits(nats);
}

function informationBits({ loads, ofDomain, ofExpert, total }: Marginals): number {
  if (total === 0) return Number.NaN;
  let nats = 0;
  loads.forEach((load, i) => {
    const [domain, expert] = [Math.floor(i / ofExpert.length), i % ofExpert.length];
    if (load > 0) nats += (load / total) * log((load * total) / (ofDomain[domain]! * ofExpert[expert]!));
  });
  return Math.max(0, bits(nats)); // rounding may leave a little less than nothing
}

const information: DomainMetric = {
  title: "domain specialisation, mutual information of domain and expert",
  formula: "I(D;E) = Σ_d Σ_e q_de log₂(q_de / (q_d q_e)), q_de = share of the assignments; 0 when they tell nothing",
  unit: "bits",
  direction: "neither",
  source: "Shannon 1948; plug-in estimate over assignments, see domain-information-by-chance",
  column: "domain_information_bits",
  of: (batch) => informationBits(marginals(batch)),
};

const normalisedInformation: DomainMetric = {
  title: "domain specialisation, share of the domain that an expert tells",
  formula: "I(D;E) / H(D), H(D) = −Σ_d q_d log₂ q_d; 1 when every expert serves one domain alone; NaN with one domain",
  unit: "1",
  direction: "neither",
  source: "Theil's uncertainty coefficient (Theil 1970, American Journal of Sociology 76), normalised by the domain",
  column: "domain_information_normalised",
  of(batch) {
    const counts = marginals(batch);
    const ofDomain = entropyBits(counts.ofDomain, counts.total);
    return ofDomain === 0 ? Number.NaN : informationBits(counts) / ofDomain;
  },
};

const informationByChance: DomainMetric = {
  title: "domain information that chance alone would show",
  formula: "(domains − 1)(N − 1) / (2 n ln 2), n assignments; domains and experts that occur",
  unit: "bits",
  direction: "neither",
  source: "Miller 1955, Note on the bias of information estimates; takes assignments for independent draws",
  column: "domain_information_by_chance_bits",
  of(batch) {
    const { ofDomain, ofExpert, total } = marginals(batch);
    const occurring = (counts: Float64Array) => counts.filter((count) => count > 0).length;
    return total === 0 ? Number.NaN : ((occurring(ofDomain) - 1) * (occurring(ofExpert) - 1)) / (2 * total * Math.LN2);
  },
};

export const domainMetrics = {
  "domain-information": information,
  "domain-information-normalised": normalisedInformation,
  "domain-information-by-chance": informationByChance,
} satisfies Record<string, DomainMetric>;

export type DomainMetricName = keyof typeof domainMetrics;
