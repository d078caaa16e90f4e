import { expect } from "chai";
import fc from "fast-check";
import { parse } from "yaml";
import { yamlText } from "../../src/web/yaml.ts";

describe("the page's YAML", () => {
  it("is read back as what was written, words that YAML takes for something else included", () => {
    const key = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom("on", "null", "12", "a: b", "#", "- x"));
    const leaf = fc.oneof(
      fc.string(),
      fc.constantFrom("yes", "No", "~", "0x1f", "1e3", "e1234", "a1b2", "moby-dick", "two\nlines", "naïve # note"),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).filter((value) => !Object.is(value, -0)),
      fc.boolean(),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.dictionary(key, fc.oneof(leaf, fc.array(fc.oneof(leaf, tie("tree")), { maxLength: 3 }), tie("tree")), {
        noNullPrototype: true,
        maxKeys: 4,
      }),
    }));
    fc.assert(
      fc.property(tree, (written) => {
        expect(parse(yamlText(written)) ?? {}).to.deep.equal(written);
      }),
    );
  });
});
