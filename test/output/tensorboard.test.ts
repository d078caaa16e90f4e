import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import protobuf from "protobufjs";
import { readCsv } from "../../src/output/csv.ts";
import { RunWriter } from "../../src/output/run-writer.ts";
import { crc32c, eventFileOf } from "../../src/output/tensorboard.ts";
import { type FakeShape, fakeSteps, fakeVariant } from "./fake-run.ts";
import { scratchDirectory } from "./scratch.ts";

/** The parts of tensorflow/core/util/event.proto and framework/summary.proto that are used. */
const { root } = protobuf.parse(`
syntax = "proto3";
message HistogramProto {
  double min = 1; double max = 2; double num = 3; double sum = 4; double sum_squares = 5;
  repeated double bucket_limit = 6 [packed = true]; repeated double bucket = 7 [packed = true];
}
message Summary {
  message Value { string tag = 1; oneof value { float simple_value = 2; HistogramProto histo = 5; } }
  repeated Value value = 1;
}
message Event { double wall_time = 1; int64 step = 2; oneof what { string file_version = 3; Summary summary = 5; } }
`);
const Event = root.lookupType("Event");

interface Value {
  readonly tag: string;
  readonly simpleValue?: number;
  readonly histo?: {
    min: number;
    max: number;
    num: number;
    sum: number;
    sumSquares: number;
    bucketLimit: number[];
    bucket: number[];
  };
}
interface DecodedEvent {
  readonly step: number;
  readonly fileVersion?: string;
  readonly summary?: { readonly value: readonly Value[] };
}

/** Unframes and decodes; every CRC must be right. */
function eventsIn(path: string): DecodedEvent[] {
  const file = readFileSync(path);
  const masked = (bytes: Uint8Array) => {
    const crc = BigInt(crc32c(bytes));
    return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn);
  };
  const events: DecodedEvent[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    expect(file.readUInt32LE(at + 8), "CRC of the length").to.equal(masked(file.subarray(at, at + 8)));
    const body = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 12 + length), "CRC of the body").to.equal(masked(body));
    events.push(Event.toObject(Event.decode(body), { longs: Number }) as DecodedEvent);
    at += 16 + length;
  }
  return events;
}

const shape: FakeShape = { steps: 20, layers: 2, experts: 16, devices: 4, tokens: 256, every: 5 };

describe("output/tensorboard", () => {
  const scratch = scratchDirectory();
  const write = (directory: string, interrupted?: number) => {
    const variants = [fakeVariant("moge", shape)];
    const steps = [...fakeSteps("moge", shape)];
    let writer = new RunWriter(directory, variants, {}, { tensorboard: true });
    for (const step of steps) {
      writer.step("moge", step);
      if (step.step === interrupted) {
        const positions = writer.positions();
        writer.close();
        const path = join(directory, eventFileOf("moge"));
        writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.from("half a record")]));
        writer = new RunWriter(directory, variants, positions, { tensorboard: true });
      }
    }
    writer.close();
    return { steps, path: join(directory, eventFileOf("moge")) };
  };

  it("has the CRC-32C of RFC 3720", () => {
    expect(crc32c(Buffer.from("123456789"))).to.equal(0xe3069283);
    expect(crc32c(new Uint8Array(32))).to.equal(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).to.equal(0x62a8ab43);
  });

  it("begins with the version, and has the scalars of steps.csv at their steps", () => {
    const directory = scratch();
    const { path } = write(directory);
    const [first, ...events] = eventsIn(path);
    expect(first!.fileVersion).to.equal("brain.Event:2");
    const rows = readCsv(join(directory, "steps.csv"));
    expect(events.map(({ step }) => step)).to.deep.equal(rows.map(({ step }) => Number(step)));
    events.forEach(({ summary }, i) => {
      const scalars = new Map(
        summary!.value.flatMap(({ tag, simpleValue }) =>
          simpleValue === undefined ? [] : [[tag, simpleValue] as const],
        ),
      );
      for (const [column, cell] of Object.entries(rows[i]!)) {
        if (cell === "" || column === "variant" || column === "step") continue;
        expect(scalars.get(column), column).to.be.closeTo(Number(cell), 1e-6 * Math.abs(Number(cell)) + 1e-30);
      }
    });
  });

  it("has a histogram of each layer's expert loads that holds every expert once", () => {
    const { path, steps } = write(scratch());
    const events = eventsIn(path).filter(({ summary }) => summary?.value.some(({ histo }) => histo));
    expect(events.map(({ step }) => step)).to.deep.equal([5, 10, 15, 20]);
    for (const { step, summary } of events) {
      const histograms = summary!.value.filter(({ histo }) => histo);
      expect(histograms.map(({ tag }) => tag)).to.deep.equal(["expert_load/layer_0", "expert_load/layer_1"]);
      histograms.forEach(({ histo }, layer) => {
        const load = steps[step - 1]!.layers[layer]!.expertLoad;
        expect(histo!.bucket.reduce((sum, each) => sum + each, 0)).to.equal(16);
        expect(histo!).to.include({ num: 16, min: Math.min(...load), max: Math.max(...load) });
        expect(histo!.sum).to.equal(load.reduce((sum, each) => sum + each, 0));
        expect(histo!.sumSquares).to.equal(load.reduce((sum, each) => sum + each * each, 0));
        histo!.bucketLimit.forEach((limit, i) => {
          const below = i === 0 ? Number.NEGATIVE_INFINITY : histo!.bucketLimit[i - 1]!;
          expect(histo!.bucket[i]).to.equal(load.filter((each) => each > below && each <= limit).length);
        });
      });
    }
  });

  it("gives the same bytes with an interruption as without", () => {
    const [whole, parts] = [write(scratch()), write(scratch(), 7)];
    expect(readFileSync(parts.path).equals(readFileSync(whole.path))).to.equal(true);
  });

  it("would notice a byte that is wrong", () => {
    const { path } = write(scratch());
    const bytes = readFileSync(path);
    bytes[60]! ^= 1;
    writeFileSync(path, bytes);
    expect(() => eventsIn(path)).to.throw();
    truncateSync(path, 100);
    expect(() => eventsIn(path)).to.throw();
  });
});
