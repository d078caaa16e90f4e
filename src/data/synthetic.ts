/**
 * Tokens from a mixture of topics whose truth is known: which topic a byte belongs to, and what a perfect model would
 * lose. Not a model of language.
 *
 * Topic t owns m = ⌊256 / topics⌋ byte values of its own and one cycle through all of them. The next symbol is the
 * successor on the cycle with probability 1 − noise, else any symbol of the topic. A sequence stays in its topic;
 * topics have Zipf shares, share_t ∝ (t + 1)^−skew.
 */
import { exp, log } from "../core/elementary.ts";
import { type Random, randomStream } from "../core/random.ts";
import { DataError, type TokenSource } from "./source.ts";

const BYTE_VALUES = 256;
const SMALLEST_ALPHABET = 4;

export interface SyntheticSettings {
  readonly topics: number;
  /** Zipf exponent of the topics' shares; 0 is uniform. */
  readonly skew: number;
  /** Probability, in [0, 1), that a symbol is drawn from the whole alphabet of its topic. */
  readonly noise: number;
}

/** What is wrong with the settings, in one line, or undefined. */
export function syntheticContradiction({ topics }: SyntheticSettings): string | undefined {
  if (alphabetSize(topics) >= SMALLEST_ALPHABET) return undefined;
  return (
    `topics is ${topics}, but each topic needs at least ${SMALLEST_ALPHABET} of the ${BYTE_VALUES} byte values ` +
    `for itself; at most ${BYTE_VALUES / SMALLEST_ALPHABET} topics fit`
  );
}

/** Symbols of each topic, m. */
export function alphabetSize(topics: number): number {
  return Math.floor(BYTE_VALUES / topics);
}

/** The topic that a byte belongs to; undefined for the few values left over when 256 is not a multiple of topics. */
export function topicOf(byte: number, topics: number): number | undefined {
  const topic = Math.floor(byte / alphabetSize(topics));
  return topic < topics ? topic : undefined;
}

/** Shares of the topics by Zipf's law. [topics], sum 1 */
export function topicShares({ topics, skew }: SyntheticSettings): Float64Array {
  const shares = Float64Array.from({ length: topics }, (_, topic) => exp(-skew * log(topic + 1)));
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share) => share / sum);
}

/**
 * Entropy of the next symbol given the one before, nats per byte: no model has a smaller expected loss. It is the
 * same for every topic and every symbol, and what came before the last symbol adds nothing.
 */
export function entropyRate({ topics, noise }: SyntheticSettings): number {
  const m = alphabetSize(topics);
  const other = noise / m;
  const successor = 1 - noise + other;
  return surprisal(successor) + (m - 1) * surprisal(other);
}

function surprisal(probability: number): number {
  return probability > 0 ? -probability * log(probability) : 0;
}

/** The symbol that follows each byte where there is no noise: one cycle a topic. [256]; 0 for bytes of no topic */
export function successors(topics: number, seed: number): Uint8Array {
  const m = alphabetSize(topics);
  const next = new Uint8Array(BYTE_VALUES);
  for (let topic = 0; topic < topics; topic++) {
    const cycle = singleCycle(m, randomStream(seed, "synthetic-successors", topic));
    for (let symbol = 0; symbol < m; symbol++) next[topic * m + symbol] = topic * m + cycle[symbol]!;
  }
  return next;
}

/** A random permutation that is one cycle through everything (Sattolo, Information Processing Letters 22, 1986). */
function singleCycle(size: number, random: Random): Int32Array {
  const permutation = Int32Array.from({ length: size }, (_, symbol) => symbol);
  for (let last = size - 1; last > 0; last--) {
    const other = random.below(last);
    const moved = permutation[last]!;
    permutation[last] = permutation[other]!;
    permutation[other] = moved;
  }
  return permutation;
}

/**
 * Sequences of the mixture; the topics are its domains. Validation sequences come from random streams of their own.
 * @throws DataError if the settings contradict themselves
 */
export function syntheticSource(
  settings: SyntheticSettings,
  { context, seed }: { readonly context: number; readonly seed: number },
): TokenSource {
  const contradiction = syntheticContradiction(settings);
  if (contradiction !== undefined) throw new DataError(contradiction);
  const { topics, noise } = settings;
  const length = context + 1;
  const m = alphabetSize(topics);
  const next = successors(topics, seed);
  const shares = topicShares(settings);

  const writeSequence = (topic: number, random: Random, into: Uint8Array) => {
    const anySymbol = () => topic * m + random.below(m);
    into[0] = anySymbol();
    for (let i = 1; i < length; i++) into[i] = random.uniform() < noise ? anySymbol() : next[into[i - 1]!]!;
  };
  const sequenceOf = (tokens: Uint8Array, sequence: number) =>
    tokens.subarray(sequence * length, (sequence + 1) * length);

  return {
    domains: Array.from({ length: topics }, (_, topic) => `topic-${topic}`),
    batch(step, sequences) {
      const random = randomStream(seed, "batches", step);
      const tokens = new Uint8Array(sequences * length);
      const domain = new Int32Array(sequences);
      for (let sequence = 0; sequence < sequences; sequence++) {
        domain[sequence] = drawTopic(shares, random);
        writeSequence(domain[sequence]!, random, sequenceOf(tokens, sequence));
      }
      return { tokens, domain };
    },
    validation(domain, sequences) {
      const random = randomStream(seed, "validation", domain);
      const tokens = new Uint8Array(sequences * length);
      for (let sequence = 0; sequence < sequences; sequence++)
        writeSequence(domain, random, sequenceOf(tokens, sequence));
      return tokens;
    },
  };
}

function drawTopic(shares: Float64Array, random: Random): number {
  let left = random.uniform();
  for (let topic = 0; topic < shares.length - 1; topic++) {
    left -= shares[topic]!;
    if (left < 0) return topic;
  }
  return shares.length - 1;
}
