import { spawnSync } from "node:child_process";
import { expect } from "chai";

/** Runs dependency-cruiser with the project's rules. */
const cruise = (...args: string[]) =>
  spawnSync("npx", ["depcruise", "--config", ".dependency-cruiser.cjs", ...args], { encoding: "utf8" });

describe("the rooms", () => {
  it("import only from rooms above them, without cycles, and touch Node only at the edge", () => {
    const { status, stdout } = cruise("src", "experiments");
    expect(stdout).to.match(/no dependency violations found \(\d{3} modules/);
    expect(status).to.equal(0);
  });
});
