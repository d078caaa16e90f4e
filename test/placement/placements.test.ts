import { expect } from "chai";
import fc from "fast-check";
import { deviceLoad } from "../../src/placement/device-load.ts";
import { type Placement, placements } from "../../src/placement/placements.ts";

const sizes = fc.record({ devices: fc.integer({ min: 1, max: 64 }), each: fc.integer({ min: 1, max: 40 }) });

for (const [name, placement] of Object.entries<Placement>(placements)) {
  it(`placement ${name} gives every device N/D experts`, () => {
    fc.assert(
      fc.property(sizes, ({ devices, each }) => {
        const load = deviceLoad(
          new Float64Array(devices * each).fill(1),
          placement.place(devices * each, devices),
          devices,
        );
        expect(Array.from(load)).to.deep.equal(new Array(devices).fill(each));
      }),
    );
  });
}

describe("placement contiguous", () => {
  it("puts 24 experts on 4 devices six by six", () => {
    const deviceOf = placements.contiguous.place(24, 4);
    expect(Array.from(deviceOf)).to.deep.equal([0, 1, 2, 3].flatMap((device) => new Array(6).fill(device)));
  });

  it("keeps whole groups together when the devices divide the groups, and splits them when not", () => {
    const devicesOfGroup = (devices: number, group: number) =>
      new Set(placements.contiguous.place(64, devices).subarray(group * 8, (group + 1) * 8)).size;
    for (const devices of [1, 2, 4, 8]) {
      for (let group = 0; group < 8; group++) expect(devicesOfGroup(devices, group)).to.equal(1);
    }
    expect(devicesOfGroup(16, 0)).to.equal(2);
  });
});

describe("deviceLoad", () => {
  it("adds the load of the experts on each device, and leaves an empty device at 0", () => {
    expect(Array.from(deviceLoad([1, 2, 4, 8], Int32Array.of(2, 0, 2, 0), 4))).to.deep.equal([10, 0, 5, 0]);
  });
});
