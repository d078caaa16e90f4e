import { expect } from "chai";
import fc from "fast-check";
import {
  chunksInFlight,
  type PipelineShape,
  type ScheduleName,
  schedules,
  type Work,
} from "../../src/cluster/schedules.ts";
import { playPipeline, workSeconds } from "../../src/cluster/timeline.ts";

const names = Object.keys(schedules) as ScheduleName[];
const shapes: PipelineShape[] = [1, 2, 3, 4, 6, 8].flatMap((pipeline) =>
  [1, 2, 4].flatMap((virtual) =>
    [1, 2, 3, 5].map((rounds) => ({ pipeline, virtual, microBatches: rounds * pipeline })),
  ),
);
const fitting = (name: ScheduleName) => shapes.filter((shape) => schedules[name].contradiction(shape) === undefined);

function play(
  name: ScheduleName,
  shape: PipelineShape,
  chunk = { forward: 3, inputGradient: 4, weightGradient: 2 },
  together = 8,
) {
  const work = (each: Work) => workSeconds(each, chunk);
  return playPipeline(schedules[name], shape, { work, send: () => 0, together: () => together });
}

const idle = ({ seconds, devices }: ReturnType<typeof play>) =>
  seconds - Math.min(...devices.map((slots) => slots.reduce((sum, { start, end }) => sum + end - start, 0)));

describe("pipeline schedules", () => {
  for (const name of names) {
    it(`${name}: the played pipeline is idle exactly as long as its closed form says`, () => {
      const tried = fitting(name).filter((shape) => !(name === "zb-1p" && shape.microBatches < shape.pipeline));
      expect(tried.length).to.be.at.least(4);
      for (const shape of tried) {
        const chunk = { forward: 3, inputGradient: 4, weightGradient: 2, together: 8 };
        expect(idle(play(name, shape)), JSON.stringify(shape)).to.equal(schedules[name].bubbleSeconds(shape, chunk));
      }
    });

    it(`${name}: every micro-batch goes forward and back once at every position`, () => {
      for (const shape of fitting(name)) {
        const schedule = schedules[name];
        const seen = new Map<string, number>();
        for (let device = 0; device < shape.pipeline; device++) {
          for (const work of schedule.order(device, shape).flat()) {
            expect(schedule.deviceOf(work.pass, work.position, shape)).to.equal(device);
            const kinds = work.kind === "backward" ? ["input-gradient", "weight-gradient"] : [work.kind];
            for (const kind of kinds) {
              const key = `${kind} ${work.pass} ${work.position} ${work.microBatch}`;
              seen.set(key, (seen.get(key) ?? 0) + 1);
            }
          }
        }
        expect(seen.size).to.equal(3 * schedule.positions(shape) * shape.microBatches);
        expect([...seen.values()].every((count) => count === 1)).to.equal(true);
      }
    });
  }

  it("never starts work before what it needs has been done and sent", () => {
    const send = 0.5;
    for (const name of names) {
      for (const shape of fitting(name).slice(0, 12)) {
        const schedule = schedules[name];
        const chunk = { forward: 3, inputGradient: 4, weightGradient: 2 };
        const work = (each: Work) => workSeconds(each, chunk);
        const { devices } = playPipeline(schedule, shape, { work, send: () => send, together: () => 9 });
        const forwardEnd = new Map<string, number>();
        for (const { slot, end } of devices.flat()) {
          for (const { kind, pass, position, microBatch } of slot) {
            if (kind === "forward") forwardEnd.set(`${pass} ${position} ${microBatch}`, end);
          }
        }
        for (const [device, slots] of devices.entries()) {
          for (const { slot, start } of slots) {
            for (const { kind, pass, position, microBatch } of slot) {
              if (kind !== "forward" || position === 0) continue;
              const from = schedule.deviceOf(pass, position - 1, shape);
              const arrival = forwardEnd.get(`${pass} ${position - 1} ${microBatch}`)! + (from === device ? 0 : send);
              expect(start).to.be.at.least(arrival);
            }
          }
        }
      }
    }
  });

  it("keeps as many chunks as are published: p in 1F1B and ZB-1P, p + 1 in DualPipe", () => {
    const shape = { pipeline: 8, virtual: 1, microBatches: 64 };
    expect(chunksInFlight(schedules["1f1b"], 0, shape)).to.equal(8);
    expect(chunksInFlight(schedules["1f1b"], 7, shape)).to.equal(1);
    expect(chunksInFlight(schedules["zb-1p"], 0, shape)).to.equal(8);
    expect(chunksInFlight(schedules.dualpipe, 0, shape)).to.equal(9);
  });

  it("counts the same chunks in flight for many micro-batches as for enough", () => {
    const shape = { pipeline: 4, virtual: 2, microBatches: 400 };
    const { order } = schedules.interleaved;
    let [kept, most] = [0, 0];
    for (const [{ kind }] of order(0, shape)) {
      kept += kind === "forward" ? 1 : -1;
      most = Math.max(most, kept);
    }
    expect(chunksInFlight(schedules.interleaved, 0, shape)).to.equal(most);
  });

  it("takes no less time with a slower chunk anywhere", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.nat(200),
        fc.nat(30),
        fc.constantFrom("forward" as const, "inputGradient" as const, "weightGradient" as const),
        (name, which, at, part) => {
          const options = fitting(name);
          const shape = options[which % options.length]!;
          const base = { forward: 3, inputGradient: 4, weightGradient: 2 };
          const positions = new Array(schedules[name].positions(shape)).fill(base);
          const slower = positions.slice();
          slower[at % slower.length] = { ...base, [part]: base[part] + 1 };
          const run = (each: typeof positions) => {
            const work = (one: Work) => workSeconds(one, each[one.position]);
            return playPipeline(schedules[name], shape, { work, send: () => 0, together: () => 9 }).seconds;
          };
          expect(run(slower)).to.be.at.least(run(positions));
        },
      ),
      { numRuns: 60 },
    );
  });
});
