import { expect } from "chai";
import { describeOrigins } from "../../src/config/describe-origins.ts";
import { ConfigError } from "../../src/config/problem.ts";
import { configJsonSchema, resolveConfig } from "../../src/config/resolve.ts";

const MINIMAL = "name: x\ndata: { kind: synthetic }\n";

/** Resolves a config out of files that exist only here. */
function resolve(files: Record<string, string> | string, sets: string[] = []) {
  const all = typeof files === "string" ? { "a.yaml": files } : files;
  return resolveConfig({
    path: Object.keys(all)[0]!,
    sets,
    read: (path) => {
      const text = all[path];
      if (text === undefined) throw new Error("there is no such file");
      return text;
    },
    besides: (_path, relative) => relative,
  });
}

/** The lines of the error that a config gives. */
function problems(files: Record<string, string> | string, sets: string[] = []): string[] {
  try {
    resolve(files, sets);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split("\n");
    throw error;
  }
  throw new Error("the config was accepted");
}

const first = (text: string, sets: string[] = []) => resolve(text, sets).variants[0]!.config;

describe("resolving a config", () => {
  it("fills in defaults and names the only variant after the config", () => {
    const { variants } = resolve(MINIMAL);
    expect(variants.map(({ name }) => name)).to.deep.equal(["x"]);
    expect(variants[0]!.config.model.experts).to.equal(64);
    expect(variants[0]!.config.balance).to.deep.equal([
      {
        rule: "switch-loss",
        coefficient: 0.01,
        scope: "micro-batch",
        counts: "chosen",
        probabilities: "normalised",
      },
    ]);
  });

  it("takes a flag over a file over its parent, and keeps what each did not say", () => {
    const config = resolve(
      {
        "child.yaml": "extends: parent.yaml\nname: child\ntraining: { steps: 7 }\n",
        "parent.yaml": `${MINIMAL}seed: 5\ntraining: { steps: 3, sequences: 2 }\nmodel: { layers: 4 }\n`,
      },
      ["model.layers=1"],
    ).variants[0]!.config;
    expect([config.name, config.seed]).to.deep.equal(["child", 5]);
    expect([config.training.steps, config.training.sequences, config.model.layers]).to.deep.equal([7, 2, 1]);
  });

  it("reads flags with their types and replaces one entry of a list by its number", () => {
    const text = `${MINIMAL}balance: [{ rule: switch-loss, coefficient: 1 }, { rule: loss-free-bias }]\n`;
    const config = first(text, ["balance.1.centred=true", "model.tiedHead=true", "router.bias=[]"]);
    expect(config.balance).to.have.length(2);
    expect(config.balance[0]).to.include({ rule: "switch-loss", coefficient: 1, scope: "micro-batch" });
    expect(config.balance[1]).to.include({ rule: "loss-free-bias", rate: 0.001, centred: true });
    expect(config.model.tiedHead).to.equal(true);
  });

  it("gives variants their changes, dotted or nested, and nothing of each other", () => {
    const text = `${MINIMAL}variants:\n  - name: a\n    set: { router.selection: moge }\n  - name: b\n    set: { router: { scale: 2 } }\n`;
    const routers = resolve(text).variants.map(({ config }) => [config.router.selection, config.router.scale]);
    expect(routers).to.deep.equal([
      ["moge", 1],
      ["topk", 2],
    ]);
  });

  it("lets a preset stand for its settings, which keys beside it and later layers override", () => {
    const text = `${MINIMAL}router: { preset: pangu-moge, scale: 3 }\nvariants: [{ name: a }, { name: b, set: { router.normalisation: chosen } }]\n`;
    const [a, b] = resolve(text).variants.map(({ config }) => config.router);
    expect([a!.selection, a!.normalisation, a!.scale]).to.deep.equal(["moge", "none", 3]);
    expect([b!.selection, b!.normalisation, b!.scale]).to.deep.equal(["moge", "chosen", 3]);
  });

  it("replaces data of one kind by data of another instead of mixing their keys", () => {
    const text =
      "name: x\ndata: { kind: text, domains: [code] }\nvariants: [{ name: a, set: { data: { kind: synthetic, topics: 4 } } }]\n";
    expect(first(text).data).to.include({ kind: "synthetic", topics: 4 }).and.not.have.property("domains");
  });

  it("lets a flag change what some variants share although others set it themselves", () => {
    const text = `${MINIMAL}variants: [{ name: a }, { name: b, set: { router.selection: topk } }]\n`;
    const routers = resolve(text, ["router.selection=moge"]).variants.map(({ config }) => config.router.selection);
    expect(routers).to.deep.equal(["moge", "topk"]);
  });

  it("replaces a balancing rule by another instead of mixing their keys", () => {
    const text = `${MINIMAL}balance: [{ rule: switch-loss, coefficient: 0.5 }]\n`;
    const [rule] = first(text, ["balance.0={rule: loss-free-bias}"]).balance;
    expect(rule)
      .to.include({ rule: "loss-free-bias", rate: 0.001, centred: false })
      .and.not.have.property("coefficient");
  });

  it("gives a file that resolves to the same configs again", () => {
    const text = `${MINIMAL}router: { preset: pangu-topk }\nvariants: [{ name: a, set: { router.preset: pangu-moge } }, { name: b }]\n`;
    const once = resolve(text, ["training.steps=9"]);
    const again = resolve(JSON.stringify(once.file));
    expect(again.variants.map(({ config }) => config)).to.deep.equal(once.variants.map(({ config }) => config));
  });
});

describe("where a value comes from", () => {
  it("is the line of the file, the flag, the preset or the default", () => {
    const text = `${MINIMAL}router:\n  preset: pangu-moge\nvariants:\n  - name: a\n  - name: b\n    set: { seed: 4 }\n`;
    const origins = describeOrigins(resolve(text, ["training.steps=9"]));
    const origin = (key: string, variant = "") =>
      origins.find((row) => row.key === key && row.variant === variant)?.origin;
    expect(origin("router.selection")).to.equal("a.yaml:4:3 (preset pangu-moge)");
    expect(origin("training.steps")).to.equal("--set training.steps=9");
    expect(origin("model.layers")).to.equal("default");
    expect(origin("seed", "a")).to.equal("default");
    expect(origin("seed", "b")).to.equal("a.yaml:8:5 (variant b)");
  });
});

describe("a config that cannot be run", () => {
  const cases: [what: string, text: string, sets: string[], line: RegExp][] = [
    ["unknown key", `${MINIMAL}modle:\n  layers: 2\n`, [], /^a\.yaml:3:1 modle: unknown key, did you mean "model"\?$/],
    [
      "unknown inner key",
      `${MINIMAL}model:\n  layer: 2\n`,
      [],
      /^a\.yaml:4:3 model\.layer: unknown key, did you mean "layers"\?$/,
    ],
    [
      "unknown flag",
      MINIMAL,
      ["training.step=1"],
      /^--set training\.step=1 training\.step: unknown key, did you mean "steps"\?$/,
    ],
    ["flag without a value", MINIMAL, ["steps"], /^--set steps: expected key=value/],
    ["zero size", MINIMAL, ["model.layers=0"], /model\.layers: expected at least 1, got 0$/],
    ["negative size", MINIMAL, ["cluster.devices=-8"], /cluster\.devices: expected at least 1, got -8$/],
    ["fraction of a size", MINIMAL, ["model.experts=1.5"], /model\.experts: expected a whole number, got 1\.5$/],
    ["text for a number", MINIMAL, ["training.learningRate=fast"], /expected a number, got "fast"$/],
    [
      "K not a multiple of M",
      MINIMAL,
      ["router.selection=moge", "model.topK=6"],
      /model\.topK: topK 6 is not a multiple of groups 8/,
    ],
    [
      "N not a multiple of M",
      MINIMAL,
      ["router.selection=moge", "model.groups=5", "model.topK=5"],
      /64 experts do not divide into 5 groups/,
    ],
    [
      "N not a multiple of D",
      MINIMAL,
      ["cluster.devices=7"],
      /cluster\.devices: 64 experts do not divide evenly by 7 devices$/,
    ],
    ["K above N", MINIMAL, ["model.topK=65"], /topK 65 is more than the 64 experts there are$/],
    ["heads", MINIMAL, ["model.heads=3"], /model\.heads: 64 hidden units do not divide evenly by 3 heads$/],
    [
      "target of other sizes",
      `${MINIMAL}target: { experts: 256 }\n`,
      [],
      /^a\.yaml:3:11 target\.experts: 256 differs from model\.experts 64/,
    ],
    ["bias of another length", MINIMAL, ["router.bias=[1,2]"], /router\.bias: 2 numbers given for 64 experts$/],
    [
      "starting bias of a router that goes by none",
      MINIMAL,
      ["router.selection=sinkhorn", `router.bias=[${new Array(64).fill(0.5)}]`],
      /router\.bias: has no effect: router sinkhorn, as it is set, goes by no bias$/,
    ],
    [
      "bias rule where groups compare logits",
      MINIMAL,
      ["router.selection=group-limited", "router.group-limited.compare=logits", "balance=[{rule: loss-free-bias}]"],
      /balance\.0\.rule: loss-free-bias has no effect: router group-limited, as it is set, goes by no bias$/,
    ],
    [
      "priority of tokens that are not served by token",
      MINIMAL,
      ["router.capacity={ priority: confidence }"],
      /router\.capacity\.priority: confidence has no effect with order weight; take order token or choice$/,
    ],
    [
      "renormalised weights that are shares of nothing",
      MINIMAL,
      ["router.normalisation=none", "router.capacity={ renormalise: true }"],
      /router\.capacity\.renormalise: has no effect with normalisation none, which divides by no sum; take chosen$/,
    ],
    [
      "capacity without room",
      MINIMAL,
      ["router.capacity={ factor: 0 }"],
      /router\.capacity\.factor: 0 with rule megatron gives an expert room for 0 of \d+ tokens, with 64 experts/,
    ],
    [
      "negative capacity",
      MINIMAL,
      ["router.capacity={ factor: -1 }"],
      /router\.capacity\.factor: expected more than 0, got -1; rule tutel alone/,
    ],
    [
      "unknown rule",
      MINIMAL,
      ["balance=[{rule: switch-los}]"],
      /balance\.0\.rule: expected one of switch-loss, device-loss, .*, quantile-balancing, got "switch-los", did you mean "switch-loss"\?$/,
    ],
    [
      "unknown domain",
      "name: x\ndata: { kind: text, domains: [moby] }\n",
      [],
      /^a\.yaml:2:31 data\.domains\.0: expected one of moby-dick, [^"]*arithmetic, got "moby"$/,
    ],
    [
      "beginning of an unknown domain",
      "name: x\ndata: { kind: text, domains: [{ name: moby-dik, bytes: 5 }] }\n",
      [],
      /^a\.yaml:2:33 data\.domains\.0\.name: expected one of moby-dick, .*, got "moby-dik", did you mean "moby-dick"\?$/,
    ],
    [
      "hash that is none",
      "name: x\ndata: { kind: text, domains: [{ name: mine, path: mine.txt, sha256: abc }] }\n",
      [],
      /^a\.yaml:2:61 data\.domains\.0\.sha256: expected 64 hexadecimal digits in quotes, got "abc"$/,
    ],
    [
      "misspelt key of one's own text",
      "name: x\ndata: { kind: text, domains: [{ name: mine, path: mine.txt, sha265: abc }] }\n",
      [],
      /^a\.yaml:2:61 data\.domains\.0\.sha265: unknown key, did you mean "sha256"\?$/,
    ],
    ["missing name", "data: { kind: synthetic }\n", [], /^a\.yaml:1:1 name: expected text, it is missing$/],
    ["not YAML", "name: [\nb: }", [], /^a\.yaml:\d+:\d+: not YAML: /],
    ["no mapping", "- 1\n", [], /^a\.yaml:1:1: expected keys and values/],
    ["empty file", "", [], /^a\.yaml:1:1: expected keys and values/],
    ["no such parent", `extends: b.yaml\n${MINIMAL}`, [], /^b\.yaml: there is no such file$/],
    ["its own parent", `extends: a.yaml\n${MINIMAL}`, [], /extends itself: a\.yaml → a\.yaml$/],
    [
      "flag that every variant overrides",
      `${MINIMAL}variants: [{ name: a, set: { router: { selection: moge } } }, { name: b, set: { router.selection: topk } }]\n`,
      ["router.selection=moge"],
      /^--set router\.selection=moge router\.selection: every variant sets this itself; change a variant instead: --set variants\.0\.set\.router\.selection=…$/,
    ],
    [
      "key of another balancing rule",
      MINIMAL,
      ["balance=[{rule: switch-loss, rate: 1}]"],
      /^--set .* balance\.0\.rate: unknown key; known are rule, coefficient, scope, counts, probabilities$/,
    ],
    ["variants of one name", `${MINIMAL}variants: [{ name: a }, { name: a }]\n`, [], /two variants are called "a"$/],
    ["name with a slash", "name: ../x\ndata: { kind: synthetic }\n", [], /name: expected a name of letters, digits/],
    [
      "name of a working folder",
      MINIMAL,
      ["name=a.partial"],
      /does not end in \.partial or \.replaced, got "a\.partial"$/,
    ],
    ["infinity", MINIMAL, ["training.learningRate=.inf"], /training\.learningRate: expected a number, got Infinity$/],
    ["absurd size", MINIMAL, ["model.layers=1000000000"], /model\.layers: expected at most 1000, got 1000000000$/],
    [
      "text for a number or a list",
      MINIMAL,
      ["balance=[{rule: switch-loss, coefficient: x}]"],
      /: expected a number or a list, got "x"$/,
    ],
    [
      "text in a list of numbers",
      MINIMAL,
      ["balance=[{rule: switch-loss, coefficient: [1, x]}]"],
      /: expected a number or a list with a number for each entry, got \[1,"x"\]$/,
    ],
    [
      "a value of thousands of letters",
      MINIMAL,
      [`model.layers=${"x".repeat(5000)}`],
      /model\.layers: expected a number, got "x{199}… \(5002 letters\)$/,
    ],
    [
      "momentum that rounds to 1",
      MINIMAL,
      ["training.beta2=0.99999999"],
      /expected at most 0\.99999, got 0\.99999999$/,
    ],
  ];
  for (const [what, text, sets, line] of cases) {
    it(`says in one line: ${what}`, () => {
      const lines = problems(text, sets);
      expect(lines, what).to.have.length(1);
      expect(lines[0]).to.match(line);
    });
  }

  it("says all problems at once", () => {
    const lines = problems(`${MINIMAL}modle: 1\n`, ["model.layers=0", "cluster.device=910"]);
    expect(lines).to.have.length(3);
  });

  it("names the variant whose change is wrong", () => {
    const text = `${MINIMAL}variants:\n  - name: good\n  - name: bad\n    set: { model.topK: 100 }\n`;
    expect(problems(text)).to.deep.equal([
      "a.yaml:6:5 (variant bad) model.topK: topK 100 is more than the 64 experts there are",
    ]);
  });
});

describe("the JSON Schema", () => {
  it("describes every key of a config", () => {
    const undescribed: string[] = [];
    const walk = (schema: Record<string, unknown>, path: string): void => {
      for (const [key, value] of Object.entries(
        (schema["properties"] ?? {}) as Record<string, Record<string, unknown>>,
      )) {
        if (key !== "$schema" && key !== "kind" && value["description"] === undefined)
          undescribed.push(`${path}.${key}`);
        walk(value, `${path}.${key}`);
      }
    };
    walk(configJsonSchema() as Record<string, unknown>, "");
    expect(undescribed).to.deep.equal([]);
  });
});
