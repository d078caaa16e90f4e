import { expect } from "chai";
import type { Device } from "../../src/cluster/device.ts";
import { devices } from "../../src/cluster/devices.ts";
import { clusterOf } from "../../src/cluster/presets.ts";
import { evidences } from "../../src/cluster/sourced.ts";
import { topologies } from "../../src/cluster/topologies.ts";

/** Places in a table whose number carries no source, or an impossible one. */
function faults(table: unknown, path = ""): string[] {
  if (typeof table === "number") return [`${path}: a bare number`];
  if (typeof table !== "object" || table === null) return [];
  if (!("value" in table)) return Object.entries(table).flatMap(([key, each]) => faults(each, `${path}/${key}`));
  const { value, source, evidence } = table as Record<string, unknown>;
  const found: string[] = [];
  if (typeof source !== "string" || source.trim().length < 10) found.push(`${path}: no source`);
  if (typeof evidence !== "string" || !(evidence in evidences)) found.push(`${path}: no evidence`);
  if (typeof value === "number" && !(value >= 0 && Number.isFinite(value))) found.push(`${path}: ${value}`);
  return found;
}

describe("cluster presets", () => {
  it("carry a source and an evidence label with every number", () => {
    expect(faults(devices)).to.deep.equal([]);
    expect(faults(topologies)).to.deep.equal([]);
  });

  it("would be refused with a bare number, an empty source or a made-up evidence", () => {
    const sound = { value: 1, source: "a paper, table 1", evidence: "vendor" };
    expect(faults({ card: { cores: 24, clock: sound } })).to.deep.equal(["/card/cores: a bare number"]);
    expect(faults({ card: { ...sound, source: " " } })).to.deep.equal(["/card: no source"]);
    expect(faults({ card: { ...sound, evidence: "guess" } })).to.deep.equal(["/card: no evidence"]);
    expect(faults({ card: { ...sound, value: Number.NaN } })).to.deep.equal(["/card: NaN"]);
  });

  it("have the peak cores · clock · 8192 FLOP, within 0.2 %", () => {
    for (const [name, { peakFlopsPerSecond, cores, clockHertz }] of Object.entries<Device>(devices)) {
      if (clockHertz === undefined) continue;
      expect(peakFlopsPerSecond.value / (cores.value * clockHertz.value * 8192), name).to.be.closeTo(1, 0.002);
    }
  });

  it("give the published peaks", () => {
    const peak = (name: keyof typeof devices) => devices[name].peakFlopsPerSecond.value / 1e12;
    expect(peak("ascend-910b2")).to.equal(353.9);
    expect(peak("ascend-910b3")).to.equal(294.9);
    expect(peak("ascend-910b4")).to.equal(245.8);
    expect(peak("ascend-910c-die")).to.equal(353.9);
  });

  it("never label copied efficiencies as anything but assumed", () => {
    for (const name of ["ascend-910b3", "ascend-910b4"] as const) {
      for (const { evidence } of Object.values(devices[name].efficiency)) expect(evidence).to.equal("assumed");
    }
  });

  it("are found by the names that a config uses", () => {
    expect(Object.keys(devices)).to.include.members(["ascend-910b2", "ideal"]);
    expect(Object.keys(topologies)).to.include.members(["a2-8xhccs-roce", "a3-measured", "ideal"]);
    const { device, topology } = clusterOf({ device: "ascend-910b3", topology: "a3-measured" });
    expect(device).to.equal(devices["ascend-910b3"]);
    expect(topology).to.equal(topologies["a3-measured"]);
  });
});
