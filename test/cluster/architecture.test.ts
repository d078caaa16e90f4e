import { expect } from "chai";
import { countParameters, trainingFlopsPerToken } from "../../src/cluster/architecture.ts";
import { type ArchitectureName, architectures } from "../../src/cluster/architectures.ts";

describe("architectures", () => {
  // Released weights, and table 1 of arXiv:2505.21411 in full.
  const published: Partial<Record<ArchitectureName, number>> = {
    "pangu-pro-moe-72b": 71_988_781_056,
    "deepseek-v3": 671_026_419_200,
    "deepseek-v2-lite": 15_706_484_224,
    "mixtral-8x7b": 46_702_792_704,
    "qwen3-30b-a3b": 30_532_122_624,
    olmoe: 6_919_161_856,
    "qwen3-235b-a22b": 235_093_634_560,
    "deepseek-v2": 235_741_434_880,
    "mixtral-8x22b": 140_630_071_296,
    "llama-33b": 32_528_943_616,
    "llama-65b": 65_285_660_672,
    "codellama-34b": 33_743_970_304,
    "mistral-7b": 7_241_732_096,
    "qwen2.5-14b": 14_770_033_664,
    "qwen2.5-32b": 32_763_876_352,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
    "llama2-7b": 6_738_415_616,
    "llama2-13b": 13_015_864_320,
    "llama2-70b": 68_976_648_192,
    "llama3-8b": 8_030_261_248,
    "llama3-70b": 70_553_706_496,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-72b": 72_706_203_648,
    "qwen3-8b": 8_190_735_360,
  };
  for (const [name, total] of Object.entries(published)) {
    it(`${name} has ${total} parameters, to the digit`, () => {
      expect(countParameters(architectures[name as ArchitectureName]).total).to.equal(total);
    });
  }

  it("uses as many for a token as is published, the embedding left out where its authors do", () => {
    const published: [ArchitectureName, billions: number, embeddingCounted: boolean][] = [
      ["deepseek-v3", 37, false],
      ["deepseek-v2", 21, false],
      ["deepseek-v2-lite", 2.4, false],
      ["mixtral-8x7b", 12.9, true],
      ["mixtral-8x22b", 39, true],
      ["qwen3-30b-a3b", 3.3, true],
      ["qwen3-235b-a22b", 22, true],
      ["olmoe", 1.3, true],
    ];
    for (const [name, billions, counted] of published) {
      const { vocabulary, hiddenSize } = architectures[name];
      const active = countParameters(architectures[name]).active - (counted ? 0 : vocabulary * hiddenSize);
      expect(active / 1e9 / billions, name).to.be.closeTo(1, 0.025);
    }
  });

  it("Pangu Pro MoE uses 16,498,139,136 of them for a token", () => {
    expect(countParameters(architectures["pangu-pro-moe-72b"]).active).to.equal(16_498_139_136);
  });

  it("counts attention's FLOP twice when the mask is ignored, and nothing else", () => {
    const model = architectures["llama2-7b"];
    const difference = trainingFlopsPerToken(model, 4096, "full") - trainingFlopsPerToken(model, 4096, "causal");
    expect(difference).to.equal(6 * 4096 * 4096 * 32);
  });
});
