/**
 * ESFT's `expert_weights_{layer}.txt`: a line a sequence, the expert ids of all its tokens between tabs, two tabs, and
 * their weights likewise. How many experts a token has is not in the file.
 * Source: deepseek-ai/ESFT, results/expert_scores.
 */
import { counted, dataError, numberOf, placeInText } from "./matrix.ts";
import { assignmentOf, type RecordedAssignment, type RecordedSizes } from "./recording.ts";

export const isEsft = (text: string): boolean => /^[ \t]*\d+(\t\d+)*\t\t[\d.]/.test(text);

interface Sequence {
  readonly line: number;
  readonly ids: readonly number[];
  readonly weights: readonly number[];
}

export function readEsft(name: string, text: string, sizes: RecordedSizes): RecordedAssignment {
  const sequences = text.split(/\r?\n/).flatMap((line, i) => (line.trim() === "" ? [] : [readSequence(name, line, i)]));
  const topK = sizes.topK ?? likelyTopK(sequences);
  const odd = sequences.find(({ ids }) => ids.length % topK !== 0);
  if (odd !== undefined) {
    const where = placeInText(name, odd.line, 0);
    throw dataError(
      where,
      `${odd.ids.length} experts are not ${topK} for each token; say how many a token has with --topk`,
    );
  }
  const values = Float64Array.from(sequences.flatMap(({ ids }) => ids));
  const weights = Float64Array.from(sequences.flatMap((sequence) => sequence.weights));
  const sequenceStarts: number[] = [];
  let tokens = 0;
  for (const { ids } of sequences) {
    sequenceStarts.push(tokens);
    tokens += ids.length / topK;
  }
  const place = (row: number) => {
    const last = sequenceStarts.findLastIndex((start) => start <= row);
    return `${placeInText(name, sequences[last]!.line, 0)} (token ${row - sequenceStarts[last]!} of the line)`;
  };
  const read = assignmentOf(name, { rows: tokens, columns: topK, values, place }, weights, sizes);
  const assumed =
    sizes.topK === undefined ? [`${topK} experts a token, as the sequences divide; --topk says otherwise`] : [];
  return { ...read, sequenceStarts, notes: [...read.notes, ...assumed] };
}

function readSequence(name: string, line: string, index: number): Sequence {
  const [idText = "", weightText, ...more] = line.trim().split("\t\t");
  if (weightText === undefined || more.length > 0) {
    throw dataError(placeInText(name, index, 0), "expected the ids of the experts, two tabs, and their weights");
  }
  let at = line.length - line.trimStart().length;
  const numbers = (part: string) =>
    part.split("\t").map((cell) => {
      const value = numberOf(cell.trim());
      if (value === undefined || !Number.isFinite(value)) {
        throw dataError(placeInText(name, index, at), `${JSON.stringify(cell.slice(0, 20))} is not a finite number`);
      }
      at += cell.length + 1;
      return value;
    });
  const ids = numbers(idText);
  at++;
  const weights = numbers(weightText);
  if (ids.length === weights.length) return { line: index, ids, weights };
  const has = `${counted(ids.length, "expert")} and ${counted(weights.length, "weight")}`;
  throw dataError(placeInText(name, index, 0), `${has}; expected a weight for each expert`);
}

/** The largest number that divides all sequences into tokens of distinct experts. */
function likelyTopK(sequences: readonly Sequence[]): number {
  const common = sequences.reduce((divisor, { ids }) => greatestDivisor(divisor, ids.length), 0);
  for (let topK = Math.min(common, 64); topK > 1; topK--) {
    if (common % topK === 0 && sequences.every(({ ids }) => areDistinct(ids, topK))) return topK;
  }
  return 1;
}

function areDistinct(ids: readonly number[], topK: number): boolean {
  for (let at = 0; at < ids.length; at += topK) {
    if (new Set(ids.slice(at, at + topK)).size < topK) return false;
  }
  return true;
}

const greatestDivisor = (a: number, b: number): number => (b === 0 ? a : greatestDivisor(b, a % b));
