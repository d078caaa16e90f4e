/**
 * Tokens from text already read, byte by byte. The first part of a domain is for training, its last part for
 * validation: disjoint, contiguous blocks. Reading files is the business of host/text.ts.
 */
import { type Random, randomStream } from "../core/random.ts";
import { DataError, type TokenSource } from "./source.ts";

export interface NamedText {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface TextSettings {
  readonly context: number;
  readonly seed: number;
  /** Share of each domain, its last bytes, kept for validation; in (0, 1). */
  readonly validationFraction: number;
}

/**
 * Sequences of text: every step draws from the domains equally often (counts differ by one at most), at uniform
 * positions of their training blocks. Validation sequences are spread evenly over the validation block and do not
 * overlap where it is long enough for as many.
 * @throws DataError if a block is shorter than one sequence
 */
export function textSource(texts: readonly NamedText[], settings: TextSettings): TokenSource {
  const { context, seed } = settings;
  const length = context + 1;
  const blocks = texts.map((text) => splitText(text, settings));
  return {
    domains: texts.map(({ name }) => name),
    batch(step, sequences) {
      const random = randomStream(seed, "batches", step);
      const tokens = new Uint8Array(sequences * length);
      const domain = new Int32Array(sequences);
      const nextDomain = shuffledRoundRobin(random, blocks.length);
      for (let sequence = 0; sequence < sequences; sequence++) {
        domain[sequence] = nextDomain();
        const { training } = blocks[domain[sequence]!]!;
        const start = random.below(training.length - context);
        tokens.set(training.subarray(start, start + length), sequence * length);
      }
      return { tokens, domain };
    },
    validation(domain, sequences) {
      const block = blocks[domain]!.validation;
      const lastStart = block.length - length;
      const tokens = new Uint8Array(sequences * length);
      for (let sequence = 0; sequence < sequences; sequence++) {
        const start = sequences > 1 ? Math.floor((sequence * lastStart) / (sequences - 1)) : 0;
        tokens.set(block.subarray(start, start + length), sequence * length);
      }
      return tokens;
    },
  };
}

/** Deals 0 … domains − 1 in a fresh random order each round. */
function shuffledRoundRobin(random: Random, domains: number): () => number {
  const order = Int32Array.from({ length: domains }, (_, domain) => domain);
  let place = 0;
  return () => {
    const other = place + random.below(domains - place); // one step of Fisher and Yates' shuffle
    const dealt = order[other]!;
    order[other] = order[place]!;
    order[place] = dealt;
    place = (place + 1) % domains;
    return dealt;
  };
}

/** At most `largest` bytes of UTF-8, ending with a whole character. @param largest undefined: all */
export function firstBytes(utf8: Uint8Array, largest: number | undefined): Uint8Array {
  if (largest === undefined || utf8.length <= largest) return utf8;
  let end = largest;
  while (end > 0 && (utf8[end]! & 0b1100_0000) === 0b1000_0000) end--; // the byte after the cut must not continue a character
  return utf8.slice(0, end);
}

function splitText({ name, bytes }: NamedText, { context, validationFraction }: TextSettings) {
  const trainingLength = bytes.length - Math.floor(bytes.length * validationFraction);
  const training = bytes.subarray(0, trainingLength);
  const validation = bytes.subarray(trainingLength);
  for (const [part, block] of Object.entries({ training, validation })) {
    if (block.length <= context) {
      throw new DataError(
        `domain ${name}: ${block.length} of its ${bytes.length} bytes are for ${part}, but a sequence needs ` +
          `${context + 1} (context ${context} + 1); add text, shorten the context or change validationFraction`,
      );
    }
  }
  return { training, validation };
}
