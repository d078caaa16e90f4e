import { expect } from "chai";
import fc from "fast-check";
import { schemaAt } from "../../src/config/schema-at.ts";
import { hashOf, readHash } from "../../src/web/hash.ts";
import { journeyKnobs } from "../../src/web/knobs/journey.ts";
import { initialValues, type KnobName, type KnobValues, knobNamed, knobNames } from "../../src/web/knobs/knobs.ts";
import { pageKnobs } from "../../src/web/knobs/page.ts";
import { routingKnobs } from "../../src/web/knobs/routing.ts";
import { trainingKnobs } from "../../src/web/knobs/training.ts";

/** Any value that a knob's control can give it. */
function anyValueOf(name: KnobName): fc.Arbitrary<unknown> {
  const knob = knobNamed(name);
  switch (knob.kind) {
    case "slider":
      return fc.constantFrom(...knob.stops);
    case "menu":
      return fc.constantFrom(...Object.keys(knob.options));
    case "text":
      return fc.string({ maxLength: knob.longest }).filter((text) => knob.schema.safeParse(text).success);
  }
}

const anyValues = fc.record(
  Object.fromEntries(knobNames.map((name) => [name, anyValueOf(name)])),
) as fc.Arbitrary<KnobValues>;

describe("the address of the page", () => {
  it("gives back every value that a control can give", () => {
    fc.assert(
      fc.property(anyValues, (values) => {
        const read = readHash(hashOf(values), initialValues, initialValues);
        expect(read.problems).to.deep.equal([]);
        expect(read.values).to.deep.equal(values);
      }),
    );
  });

  it("says nothing of what is as at first", () => {
    expect(hashOf(initialValues)).to.equal("#");
    expect(hashOf({ ...initialValues, experts: 32 })).to.equal("#experts=32");
  });

  it("keeps what was there before where a link names nonsense, and says so in both languages", () => {
    const before = { ...initialValues, experts: 128, device: "ascend-910b3" } as KnobValues;
    const { values, problems } = readHash(
      "#experts=lots&device=toaster&groups=2.5&no-such=1&topK=4",
      initialValues,
      before,
    );
    expect(values).to.deep.equal({ ...initialValues, experts: 128, device: "ascend-910b3", topK: 4 });
    expect(problems).to.have.length(4);
    expect(problems.map(({ en }) => en).join()).to.match(
      /experts = “lots”.*device = “toaster”.*groups = “2.5”.*“no-such”/s,
    );
    for (const { zh } of problems) expect(zh).to.match(/链接/);
  });

  it("clamps to what the page shows, and says what it took", () => {
    const { values, problems } = readHash("#experts=60000&skew=0", initialValues, initialValues);
    expect(values.experts).to.equal(256);
    expect(values.skew).to.equal(0);
    expect(problems.map(({ en }) => en)).to.deep.equal([
      "The link says experts = “60000”, more or less than this page shows; 256 was taken.",
    ]);
  });

  it("survives any text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const { values } = readHash(`#${text}`, initialValues, initialValues);
        for (const name of knobNames)
          expect(knobNamed(name).schema.safeParse(values[name]).success, name).to.equal(true);
      }),
    );
  });

  it("starts where the config's schema starts, but for knobs of the page's own", () => {
    expect(initialValues.experts).to.equal(schemaAt("model.experts").parse(undefined));
    expect(initialValues.topology).to.equal(schemaAt("cluster.topology").parse(undefined));
    expect(() => schemaAt("model.expert")).to.throw("the config has no key model.expert");
  });

  it("gives no name to two knobs", () => {
    const tables = [pageKnobs, journeyKnobs, routingKnobs, trainingKnobs].flatMap((table) => Object.keys(table));
    expect(tables).to.have.members(knobNames).and.to.have.length(knobNames.length);
  });

  it("has controls whose stops are all allowed, in order", () => {
    for (const name of knobNames) {
      const knob = knobNamed(name);
      if (knob.kind !== "slider") continue;
      expect(
        [...knob.stops].sort((a, b) => a - b),
        name,
      ).to.deep.equal(knob.stops);
      for (const stop of knob.stops) expect(knob.schema.safeParse(stop).success, `${name} ${stop}`).to.equal(true);
    }
  });
});
