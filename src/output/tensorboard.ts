/**
 * TensorBoard event files: the scalars of steps.csv and a histogram of the expert loads of each layer.
 *
 * Format: TFRecord frames (tensorflow/core/lib/io/record_writer.h) around Event messages
 * (tensorflow/core/util/event.proto and framework/summary.proto), each length and body with its masked CRC-32C. The
 * time of an event is its step: results hold no clock, so that the same run gives the same bytes.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import Pbf from "pbf";
import type { Step } from "../simulate.ts";
import { stepTables, type WrittenVariant } from "./columns.ts";
import { GrowingFile } from "./growing-file.ts";

/** TensorBoard takes each folder for a run and looks for "tfevents" in file names. */
export const eventFileOf = (variant: string): string => `tensorboard/${variant}/events.out.tfevents.0.moge`;

type Value =
  | { readonly tag: string; readonly scalar: number }
  | { readonly tag: string; readonly samples: readonly number[] };

export class EventFile extends GrowingFile {
  constructor(path: string, resumeAt = 0) {
    mkdirSync(dirname(path), { recursive: true });
    super(path, resumeAt);
    if (resumeAt === 0) this.append(frame(encodeEvent(0, "brain.Event:2")));
  }

  step(variant: WrittenVariant, step: Step): void {
    this.append(frame(encodeEvent(step.step, [...scalars(variant, step), ...histograms(variant, step)])));
  }
}

function scalars(variant: WrittenVariant, step: Step): Value[] {
  const { columns, cells } = stepTables["steps.csv"];
  const [row = []] = cells(variant, step);
  const ofColumns = Object.keys(columns).flatMap((tag, i) => {
    const cell = row[i];
    return typeof cell === "number" && tag !== "step" ? [{ tag, scalar: cell }] : [];
  });
  const domains = (step.validation?.domains ?? []).map(({ domain, lossNatsPerByte }) => ({
    tag: `validation_loss_nats_per_byte/${domain}`,
    scalar: lossNatsPerByte,
  }));
  return [...ofColumns, ...domains];
}

/** As often as expert-load.csv has them. */
function histograms({ config: { record, training } }: WrittenVariant, step: Step): Value[] {
  if (step.step % record.every !== 0 && step.step !== training.steps) return [];
  return step.layers.map(({ layer, expertLoad }) => ({ tag: `expert_load/layer_${layer}`, samples: expertLoad }));
}

/** An Event: wall_time 1, step 2, file_version 3, summary 5. */
function encodeEvent(step: number, content: string | readonly Value[]): Uint8Array {
  const pbf = new Pbf();
  pbf.writeDoubleField(1, step);
  pbf.writeVarintField(2, step);
  if (typeof content === "string") pbf.writeStringField(3, content);
  else
    pbf.writeMessage(
      5,
      (values, summary) => {
        for (const value of values) summary.writeMessage(1, writeValue, value);
      },
      content,
    );
  return pbf.finish();
}

/** A Summary.Value: tag 1, simple_value 2, histo 5. */
function writeValue(value: Value, pbf: Pbf): void {
  pbf.writeStringField(1, value.tag);
  if ("scalar" in value) pbf.writeFloatField(2, value.scalar);
  else pbf.writeMessage(5, writeHistogram, value.samples);
}

const BUCKETS = 30;

/** A HistogramProto: min 1, max 2, num 3, sum 4, sum_squares 5, bucket_limit 6, bucket 7. A limit belongs to its bucket. */
function writeHistogram(samples: readonly number[], pbf: Pbf): void {
  const min = samples.reduce((least, each) => Math.min(least, each));
  const max = samples.reduce((most, each) => Math.max(most, each));
  const count = min === max ? 1 : BUCKETS;
  const limits = Array.from({ length: count }, (_, i) =>
    i === count - 1 ? max : min + ((max - min) * (i + 1)) / count,
  );
  const buckets = limits.map(() => 0);
  for (const sample of samples) buckets[limits.findIndex((limit) => sample <= limit)]!++;
  pbf.writeDoubleField(1, min);
  pbf.writeDoubleField(2, max);
  pbf.writeDoubleField(3, samples.length);
  pbf.writeDoubleField(
    4,
    samples.reduce((sum, each) => sum + each, 0),
  );
  pbf.writeDoubleField(
    5,
    samples.reduce((sum, each) => sum + each * each, 0),
  );
  pbf.writePackedDouble(6, limits);
  pbf.writePackedDouble(7, buckets);
}

/** A TFRecord: length (uint64), its CRC, body, its CRC; little endian. */
function frame(body: Uint8Array): Uint8Array {
  const record = Buffer.alloc(body.length + 16);
  record.writeBigUInt64LE(BigInt(body.length), 0);
  record.writeUInt32LE(maskedCrc(record.subarray(0, 8)), 8);
  record.set(body, 12);
  record.writeUInt32LE(maskedCrc(body), 12 + body.length);
  return record;
}

/** Masked, because a CRC of data that holds CRCs says little (tensorflow/core/lib/hash/crc32c.h). */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** CRC-32 with Castagnoli's polynomial, reflected (RFC 3720, appendix B.4). */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ castagnoli[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

const castagnoli = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc >>> 0;
});
