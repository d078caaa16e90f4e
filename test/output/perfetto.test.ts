import { expect } from "chai";
import type { Job } from "../../src/cluster/job.ts";
import { priceStep } from "../../src/cluster/step.ts";
import { perfettoTrace } from "../../src/output/perfetto.ts";
import { plainLayout, routingOf, smallJob } from "../cluster/small-job.ts";

/** An event of the Trace Event Format, as far as it is used. */
interface Event {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid?: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly id?: string;
  readonly bp?: string;
  readonly args?: Readonly<Record<string, unknown>>;
}

/** Times are rounded to nanoseconds. */
const ROUNDING = 0.0011;
const lane = ({ pid, tid }: Event) => `${pid}/${tid}`;
const group = (events: readonly Event[], key: (event: Event) => string) => {
  const found = new Map<string, Event[]>();
  for (const event of events) found.set(key(event), [...(found.get(key(event)) ?? []), event]);
  return found;
};
const isTime = (value: number | undefined) => value !== undefined && Number.isFinite(value) && value >= 0;

/** What Perfetto would drop, misplace or draw over something else. */
function faults(events: readonly Event[]): string[] {
  const of = (...phases: string[]) => events.filter(({ ph }) => phases.includes(ph));
  const found: string[] = [];
  const report = (bad: readonly Event[], what: string) => found.push(...bad.map(({ name }) => `${name}: ${what}`));
  report(
    events.filter(({ ph }) => !["X", "M", "C", "s", "f"].includes(ph)),
    "unknown phase",
  );
  report(
    of("X", "C", "s", "f").filter(({ ts }) => !isTime(ts)),
    "no time",
  );
  report(
    of("X").filter(({ dur }) => !isTime(dur)),
    "no duration",
  );
  report(
    of("X", "s", "f").filter(({ tid }) => tid === undefined),
    "no lane",
  );
  const named = (name: string) => of("M").filter((event) => event.name === name);
  const titled = (metadata: readonly Event[]) => metadata.filter(({ args }) => typeof args?.["name"] === "string");
  for (const [name, key] of [
    ["process_name", ({ pid }: Event) => `${pid}`],
    ["thread_name", lane],
  ] as const) {
    const titles = group(titled(named(name)), key);
    for (const [of_, own] of titles) if (own.length > 1) found.push(`${name} ${of_}: given twice`);
    const users = name === "process_name" ? of("X", "C", "s", "f") : of("X", "s", "f");
    report(
      users.filter((event) => !titles.has(key(event))),
      `its ${name} is missing`,
    );
  }
  for (const [at, own] of group(of("X"), lane)) {
    const ordered = own.toSorted((a, b) => a.ts! - b.ts!);
    for (const [i, next] of ordered.slice(1).entries()) {
      const { ts, dur, name } = ordered[i]!;
      if (next.ts! < ts! + dur! - ROUNDING) found.push(`${name} and ${next.name}: overlap on lane ${at}`);
    }
  }
  for (const [id, own] of group(of("s", "f"), ({ cat, name, id: own }) => `${cat} ${name} ${own}`)) {
    const [start, end] = [own.filter(({ ph }) => ph === "s"), own.filter(({ ph }) => ph === "f")];
    if (start.length !== 1 || end.length !== 1) found.push(`flow ${id}: ${start.length} starts, ${end.length} ends`);
    else if (end[0]!.ts! < start[0]!.ts!) found.push(`flow ${id}: ends before it starts`);
    if (end.some(({ bp }) => bp !== "e")) found.push(`flow ${id}: would bind to the next slice`);
  }
  const slices = group(of("X"), lane);
  report(
    of("s", "f").filter((event) => {
      const around = slices.get(lane(event)) ?? [];
      return !around.some(
        ({ ts, dur }) => event.ts! >= ts! - ROUNDING && event.ts! <= ts! + dur! + ROUNDING && dur! > 0,
      );
    }),
    "arrow without a slice",
  );
  report(
    of("C").filter(({ args = {} }) => Object.values(args).some((value) => typeof value !== "number")),
    "counts no number",
  );
  return found;
}

const layout = (change: Partial<typeof plainLayout>): Job => ({ ...smallJob, layout: { ...plainLayout, ...change } });
const traceOf = (job: Job): Event[] => {
  const price = priceStep(job, routingOf({ kind: "log-normal", sigma: 0.7 }, job), { events: true });
  return JSON.parse(JSON.stringify(perfettoTrace(job, price))).traceEvents as Event[];
};

const jobs: readonly [string, Job][] = [
  ["1F1B", smallJob],
  ["interleaved", layout({ virtual: 2, schedule: "interleaved" })],
  ["ZB-1P", layout({ schedule: "zb-1p" })],
  ["DualPipe", layout({ schedule: "dualpipe" })],
  ["DualPipeV", layout({ schedule: "dualpipe-v", virtual: 2 })],
  [
    "no pipeline, overlap and a slow device",
    {
      ...layout({ pipeline: 1, data: 64 }),
      overlap: { tensor: 0.5, expert: 0.5, data: 0.5, slowdown: 0.25 },
      speeds: new Map([[3, 0.7]]),
    },
  ],
];

describe("a trace for Perfetto", () => {
  for (const [name, job] of jobs) {
    it(`keeps to the rules of its format: ${name}`, () => {
      const events = traceOf(job);
      expect(events.length).to.be.greaterThan(100);
      expect(faults(events)).to.deep.equal([]);
    });
  }

  it("counts the tokens of every expert of the layer with the largest imbalance, until the layer is done", () => {
    const routing = routingOf({ kind: "log-normal", sigma: 0.7 }, smallJob);
    const price = priceStep(smallJob, routing, { events: true });
    const worst = price.layers.reduce((most, each) => (each.imbalance > most.imbalance ? each : most));
    const { picks } = routing.profile(worst.layer, 0, 0);
    const counters = traceOf(smallJob).filter(({ ph }) => ph === "C");
    const counted = counters.filter(({ ts }) => ts === 0).flatMap(({ args }) => Object.entries(args!));
    expect(counted).to.deep.equal(Array.from(picks, (each, e) => [`expert ${e}`, Math.floor(each * 8 * 4096 + 0.5)]));
    const ends = counters.filter(({ ts }) => ts! > 0);
    expect(ends.length).to.equal(8);
    for (const { args } of ends) expect(new Set(Object.values(args!))).to.deep.equal(new Set([0]));
  });

  describe("would be found out", () => {
    const events = traceOf(smallJob);
    const at = (phase: string, nth = 0) => events.filter(({ ph }) => ph === phase)[nth]!;
    const changed = (event: Event, change: Partial<Event>) =>
      events.map((each) => (each === event ? { ...each, ...change } : each));
    const without = (event: Event) => events.filter((each) => each !== event);
    const slice = events.find(({ ph, tid }) => ph === "X" && tid === 0)!;
    const broken: readonly [string, readonly Event[], RegExp][] = [
      ["an arrow without an end", without(at("f")), /1 starts, 0 ends/],
      ["an arrow without a beginning", without(at("s")), /0 starts, 1 ends/],
      ["two arrows of one name", changed(at("s", 1), { id: at("s").id! }), /2 starts/],
      ["an arrow into the past", changed(at("f"), { ts: 0 }), /ends before it starts|arrow without a slice/],
      ["an arrow beyond all slices", changed(at("f"), { ts: 1e12 }), /arrow without a slice/],
      ["an arrow to the next slice", changed(at("f"), { bp: "n" }), /would bind to the next slice/],
      ["a slice too long", changed(slice, { dur: slice.dur! + 10 }), /overlap on lane/],
      ["a slice that ends before it begins", changed(slice, { dur: -1 }), /no duration/],
      ["a time that is no number", changed(slice, { ts: Number.NaN }), /no time/],
      ["a lane without a name", without(events.find(({ name }) => name === "thread_name")!), /thread_name is missing/],
      [
        "a process without a name",
        without(events.find(({ name }) => name === "process_name")!),
        /process_name is missing/,
      ],
      ["a process named twice", [...events, events.find(({ name }) => name === "process_name")!], /given twice/],
      ["a counter of text", changed(at("C"), { args: { "expert 0": "12" } }), /counts no number/],
      ["a phase of another format", changed(slice, { ph: "B" }), /unknown phase/],
    ];
    for (const [what, own, message] of broken) {
      it(`with ${what}`, () => expect(faults(own).join("\n")).to.match(message));
    }
  });
});
