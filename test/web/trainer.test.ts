import { readFileSync } from "node:fs";
import { expect } from "chai";
import { readConfig } from "../../src/host/read-config.ts";
import { readDomain } from "../../src/host/text.ts";
import { Trainer } from "../../src/web/training/trainer.ts";

const kernels = readFileSync("dist/wasm/plain.single.wasm");

async function small(variant: number): Promise<Trainer> {
  const { variants } = await readConfig("page", ["training.steps=3", "model.context=8", "training.sequences=32"]);
  const { config } = variants[variant]!;
  if (config.data.kind !== "text") throw new Error("text was expected");
  return new Trainer(
    config,
    config.data.domains.map((domain) => readDomain(domain, ".")),
    kernels,
  );
}

const bytes = new TextEncoder().encode("A sentence of forty-one bytes, no less!!!");

describe("the page's trainer", () => {
  it("routes bytes by what stands before them alone: a longer text begins like a shorter one", async () => {
    const trainer = await small(0);
    trainer.step();
    const [, whole] = trainer.route(bytes);
    expect(whole!.experts).to.have.length(bytes.length * whole!.slots);
    for (const length of [1, 7, 8, 9, 12, 13, 40]) {
      const [, part] = trainer.route(bytes.subarray(0, length));
      expect(part!.experts).to.deep.equal(whole!.experts.subarray(0, length * whole!.slots));
      expect(part!.weights).to.deep.equal(whole!.weights.subarray(0, length * whole!.slots));
    }
  });

  it("sends every byte to each of MoGE's groups once", async () => {
    const trainer = await small(1);
    trainer.step();
    for (const { slots, experts } of trainer.route(bytes)) {
      for (let byte = 0; byte < bytes.length; byte++) {
        const groups = [...experts.subarray(byte * slots, (byte + 1) * slots)].map((expert) => Math.floor(expert / 8));
        expect(groups.sort()).to.deep.equal([0, 1, 2, 3, 4, 5, 6, 7]);
      }
    }
  });

  it("shares out K experts of each domain's bytes", async () => {
    const trainer = await small(0);
    for (const shares of trainer.look()) {
      for (let domain = 0; domain < 7; domain++) {
        const sum = shares.subarray(domain * 64, (domain + 1) * 64).reduce((total, share) => total + share, 0);
        expect(sum).to.be.closeTo(8, 1e-9);
      }
    }
  });

  it("is not disturbed by being looked at", async () => {
    const [watched, alone] = [await small(0), await small(0)];
    for (let step = 0; step < 3; step++) {
      watched.look();
      watched.route(bytes);
      expect(watched.step()).to.deep.equal(alone.step());
    }
    expect(watched.step()).to.equal(undefined);
  });
});
