import { expect } from "chai";
import fc from "fast-check";
import { adviseRebalancing, ascendEplb } from "../../src/placement/ascend-eplb.ts";
import {
  arrivals,
  type Deployment,
  DeploymentError,
  deployedLoad,
  replicaCounts,
  slotAssignment,
} from "../../src/placement/deployment.ts";
import { eplb, packBalanced, replicate } from "../../src/placement/eplb.ts";
import { type Rebalancer, rebalancers } from "../../src/placement/rebalancers.ts";
import { NO_EXPERT } from "../../src/routing/assignment.ts";

const deployed = (experts: number, ...held: number[][]): Deployment => ({
  experts,
  held: held.map((own) => Int32Array.from(own)),
});
const listed = ({ held }: Deployment) => held.map((own) => Array.from(own));
const sum = (values: ArrayLike<number>) => Array.from(values).reduce((total, value) => total + value, 0);

const cases = fc
  .record({ devices: fc.integer({ min: 2, max: 8 }), each: fc.integer({ min: 1, max: 6 }) })
  .chain(({ devices, each }) => {
    const loads = { minLength: devices * each, maxLength: devices * each };
    return fc.record({
      devices: fc.constant(devices),
      slots: fc.integer({ min: each, max: each + 2 }),
      load: fc.array(fc.integer({ min: 0, max: 1000 }), loads).map((load) => Float64Array.from(load)),
    });
  });

for (const [name, rebalancer] of Object.entries<Rebalancer>(rebalancers)) {
  it(`rebalancer ${name} holds every expert, fills its devices evenly and keeps every token`, () => {
    fc.assert(
      fc.property(cases, ({ devices, slots, load }) => {
        let deployment: Deployment;
        try {
          deployment = rebalancer.rebalance(load, { devices, slots, groups: 1, nodes: 1 });
        } catch (error) {
          expect(error).to.be.instanceOf(DeploymentError);
          return;
        }
        expect(new Set(deployment.held.map((own) => own.length)).size).to.equal(1);
        expect(deployment.held.length).to.equal(devices);
        expect(Math.min(...replicaCounts(deployment))).to.be.at.least(1);
        expect(sum(deployedLoad(load, deployment))).to.be.closeTo(sum(load), 1e-9 * (1 + sum(load)));
      }),
    );
  });
}

describe("replicate", () => {
  it("makes the hottest replica as light as any division of the spare slots could", () => {
    const sizes = fc.record({
      load: fc.array(fc.integer({ min: 1, max: 99 }), { minLength: 1, maxLength: 4 }),
      spare: fc.integer({ min: 0, max: 4 }),
    });
    const hottest = (load: number[], counts: ArrayLike<number>) =>
      Math.max(...load.map((tokens, expert) => tokens / counts[expert]!));
    const best = (load: number[], spare: number, counts: number[]): number =>
      spare === 0
        ? hottest(load, counts)
        : Math.min(
            ...load.map((_, i) =>
              best(
                load,
                spare - 1,
                counts.map((count, j) => count + (i === j ? 1 : 0)),
              ),
            ),
          );
    fc.assert(
      fc.property(sizes, ({ load, spare }) => {
        const { counts } = replicate(load, load.length + spare);
        const ones = load.map(() => 1);
        expect(hottest(load, counts)).to.equal(best(load, spare, ones));
      }),
    );
  });
});

describe("packBalanced", () => {
  it("puts the heaviest first into the lightest pack with room", () => {
    // 9 → 0, 7 → 1, 6 → 1 (7 < 9), 5 → 0 (9 < 13), 4: pack 1 has 13, pack 0 has 14; 1 has room
    expect(Array.from(packBalanced([4, 9, 5, 7, 6, 1], 2).packOf)).to.deep.equal([1, 0, 0, 1, 1, 0]);
  });

  it("leaves items alone when each has a pack of its own", () => {
    expect(Array.from(packBalanced([1, 3, 2], 3).packOf)).to.deep.equal([0, 1, 2]);
  });
});

describe("eplb", () => {
  it("gives the example of its README", () => {
    const load = Float64Array.of(90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86);
    const deployment = eplb(load, { devices: 8, totalSlots: 16, groups: 4, nodes: 2 });
    expect(listed(deployment).flat()).to.deep.equal([5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1]);
  });

  it("keeps each group on one node", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 24, maxLength: 24 }), (load) => {
        const { held } = eplb(Float64Array.from(load), { devices: 6, totalSlots: 30, groups: 6, nodes: 3 });
        for (let group = 0; group < 6; group++) {
          const nodes = held.flatMap((own, device) =>
            own.some((expert) => Math.floor(expert / 4) === group) ? [Math.floor(device / 2)] : [],
          );
          expect(new Set(nodes).size).to.equal(1);
        }
      }),
    );
  });

  it("says what does not divide", () => {
    const load = new Float64Array(12).fill(1);
    const shape = { devices: 8, totalSlots: 16, groups: 4, nodes: 2 };
    expect(() => eplb(load, { ...shape, totalSlots: 15 })).to.throw(
      DeploymentError,
      "8 devices do not divide 15 slots",
    );
    expect(() => eplb(load, { ...shape, totalSlots: 8 })).to.throw(DeploymentError, "8 slots cannot hold 12 experts");
    expect(() => eplb(load, { ...shape, groups: 8 })).to.throw(DeploymentError, "8 groups do not divide 12 experts");
  });
});

describe("ascendEplb", () => {
  it("deals the copies of the hottest first, then the experts to the lightest device, and lets who stays keep its slot", () => {
    // Spare slots: 0 is split into 6 + 6, then 1 (load 8) into 4 + 4. Copies: 0 on device 0, 1 on device 1.
    // Then 0 (6) → device 1 (4 < 6), 1 (4) → device 0, 2 (3) → 0 and 1 hold 10 each: 0; 3 (2) → 1.
    const { deployment, hottest } = ascendEplb(Float64Array.of(12, 8, 3, 2), deployed(4, [0, 1, 2], [2, 3, 0]));
    expect(listed(deployment)).to.deep.equal([
      [0, 1, 2],
      [1, 3, 0],
    ]);
    expect(hottest).to.equal(13);
  });

  it("never puts two replicas of an expert on one device", () => {
    fc.assert(
      fc.property(cases, ({ devices, slots, load }) => {
        try {
          const { held } = rebalancers.ascend.rebalance(load, { devices, slots, groups: 1, nodes: 1 });
          for (const own of held) expect(new Set(own).size).to.equal(own.length);
        } catch (error) {
          expect(error).to.be.instanceOf(DeploymentError);
        }
      }),
    );
  });

  it("advises a change only where the hottest devices shed more than a twentieth, and orders the layers by gain", () => {
    const current = [deployed(4, [0, 1], [2, 3]), deployed(4, [0, 1], [2, 3])];
    const loads = (...layer: [number[], number[]]) => layer.map((own) => Float64Array.from(own));
    const uneven = loads([10, 10], [1, 1]); // 20 → 11
    const even = loads([5, 6], [6, 5]); // 11 → 11
    expect(adviseRebalancing(current, [even, uneven])).to.include({ worthwhile: true });
    expect(adviseRebalancing(current, [even, uneven]).priority).to.deep.equal([1, 0]);
    expect(adviseRebalancing(current, [even, even]).worthwhile).to.equal(false);
  });
});

describe("deployments", () => {
  const deployment = deployed(3, [0, 1], [0, 2]);

  it("share an expert's tokens among its replicas", () => {
    expect(Array.from(deployedLoad([6, 1, 2], deployment))).to.deep.equal([4, 5]);
  });

  it("refuse tokens of an expert that no device holds", () => {
    const missing = deployed(3, [0], [1]);
    expect(() => deployedLoad([1, 1, 1], missing)).to.throw(DeploymentError, "expert 2 has tokens");
    expect(Array.from(deployedLoad([1, 1, 0], missing))).to.deep.equal([1, 1]);
  });

  it("send token t to replica t mod R, and count the devices it then reaches", () => {
    const experts = Int32Array.of(0, 1, 0, 1, 0, NO_EXPERT);
    const assignment = { tokens: 3, slots: 2, experts, weights: new Float64Array(6).fill(0.5) };
    const onSlots = slotAssignment(assignment, deployment);
    expect(Array.from(onSlots.assignment.experts)).to.deep.equal([0, 1, 2, 1, 0, NO_EXPERT]);
    expect(Array.from(onSlots.deviceOf)).to.deep.equal([0, 0, 1, 1]);
  });

  it("count the experts that a change sends to devices", () => {
    expect(arrivals(deployed(4, [0, 1], [2, 3]), deployed(4, [0, 2, 3], [3, 2, 0]))).to.equal(3);
  });
});
