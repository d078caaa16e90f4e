/** Ascend accelerators. A new one is one entry here; the 910B1 is absent because no source for it could be found. */
import { type Device, fp8, int8 } from "./device.ts";
import { assumed, derived, vendor } from "./sourced.ts";

const MODEL = "Ascend/msmodeling tensor_cast/device.py at 84fec853, Huawei's own performance model";
const CHIP = "CANN platform_config/Ascend910*.ini, quoted in issues of cann/ops-*";
const MEMORY = `${MODEL}; in units of 1e9 bytes`;
const BANDWIDTH = "1.6 TB/s: CloudMatrix384 paper, arXiv:2506.12708 (msmodeling's code reads 1.6·1024^4, 10 % more)";
const HEADLINE = `${MODEL}: matrix and vector units together`;
const TILES = "tiles with which hw-native-sys/pto-isa gemm_performance (3186c381) is explained to 5 %";
const GEMM_FIT = "fitted to four cubes of hw-native-sys/pto-isa gemm_performance (3186c381), Ascend A3, 24 cores, fp16";
const GROUPED_FIT =
  "marginal seconds a token of hw-native-sys/pto-isa MegaMoE (3186c381), A3, W8A8, EP8: 429 of 707.8 TOPS; " +
  "0.67 MAC utilisation in HyperParallel-MoE, arXiv:2605.23764";
const MEMORY_FIT =
  "at least: weights of hw-native-sys/pto-isa MegaMoE (3186c381) read in its shortest run, A3: 1.23 of 1.6 TB/s; " +
  "msmodeling's default is 0.6";
const VECTOR = "msmodeling (84fec853): static cost of a vector operation";
const ATTENTION_FIT =
  "fitted to torch_npu flash attention on 910B2 in hw-native-sys/pto-isa (3186c381), 1K to 32K tokens, read as one " +
  "head of 128 without mask: within 17 % at each of the six";
const BACKWARD =
  "2.5 times the FLOP of forward in 3.09 times its seconds, as 3.86 against 1.25 ms in deepseek-ai/profile-data " +
  "(449602428), there on H800";
const BLEND =
  "refits of hw-native-sys/pto-isa MegaMoE (3186c381): p=2 leaves 1.5 to 3.7 %, the maximum 5.2 to 8.7 %, A3";
const PAPER_950 = "Ascend 950 white paper, quoted in an issue";
const FIT_950 = "fitted to four MXFP8 cubes of hw-native-sys/pto-isa (3186c381), A5: within 3.2 %";
const WEAK_910A = "vendor model's default; nothing was timed on this device";

const attention = (reason?: string) => {
  const label = reason === undefined ? derived : assumed;
  const tail = reason === undefined ? "" : `; ${reason}`;
  return {
    forward: label(0.44, ATTENTION_FIT + tail),
    backward: assumed(0.356, `0.44 · 2.5/3.09: ${BACKWARD}${tail}`),
    startSeconds: label(55e-6, ATTENTION_FIT + tail),
    blockRows: assumed(128, `${ATTENTION_FIT}; the usual block${tail}`),
  };
};

const CUBE = "the matrix unit takes 16 rows at a time: hw-native-sys/pto-isa (3186c381), cycles grow with ⌈M/16⌉";
const rowStep = vendor(16, CUBE);
const tile = { rows: derived(128, TILES), columns: derived(256, TILES), rowStep };

/** Nothing was timed on these themselves: the constants of the 910C die are copied. */
const copiedFromTheDie = (reason: string) => ({
  tile: { rows: assumed(128, `${TILES}; ${reason}`), columns: assumed(256, `${TILES}; ${reason}`), rowStep },
  efficiency: {
    gemm: assumed(0.85, `${GEMM_FIT}; ${reason}`),
    groupedGemm: assumed(0.61, `${GROUPED_FIT}; ${reason}`),
    memory: assumed(0.77, `${MEMORY_FIT}; ${reason}`),
  },
  attention: attention(reason),
  blend: assumed(2, `${BLEND}; ${reason}`),
  overheadSeconds: { matrixKernel: assumed(15e-6, `${GEMM_FIT}; ${reason}`), vectorKernel: vendor(2e-6, VECTOR) },
});

const NOT_TIMED = "copied, never timed on this device";
const SAME_CORE = "the 910B2 has the same cores and clock";

/** The 950 family: products were timed on one member, everything else is copied. */
const of950 = (gemm: ReturnType<typeof derived<number>>) => ({
  ...copiedFromTheDie(NOT_TIMED),
  efficiency: {
    gemm,
    groupedGemm: assumed(0.61, `${GROUPED_FIT}; ${NOT_TIMED}`),
    memory: assumed(0.8, "msmodeling (84fec853): default of the 950 family"),
  },
});

export const ascendDevices = {
  "ascend-910a": {
    title: "Ascend 910A",
    headlineFlopsPerSecond: vendor(256e12, "Hot Chips 31 and product pages: 256 TFLOPS advertised"),
    peakFlopsPerSecond: derived(262e12, `${CHIP}: 32 cores · 1.0 GHz · 8192`),
    eightBit: int8(derived(524e12, "twice the fp16 peak; 512 advertised")),
    cores: vendor(32, CHIP),
    clockHertz: vendor(1e9, CHIP),
    memoryBytes: vendor(32e9, "Hot Chips 31: 32 GB HBM2"),
    memoryBytesPerSecond: vendor(1.2e12, "Hot Chips 31 and Linley notes: 1.2 TB/s"),
    ...copiedFromTheDie(NOT_TIMED),
    efficiency: {
      gemm: assumed(0.85, `${GEMM_FIT}; ${NOT_TIMED}`),
      groupedGemm: assumed(0.61, `${GROUPED_FIT}; ${NOT_TIMED}`),
      memory: assumed(0.6, WEAK_910A),
    },
  },
  "ascend-910b2": {
    title: "Ascend 910B2",
    headlineFlopsPerSecond: vendor(376e12, HEADLINE),
    peakFlopsPerSecond: vendor(353.9e12, MODEL),
    eightBit: int8(vendor(707.8e12, MODEL)),
    cores: vendor(24, CHIP),
    clockHertz: vendor(1.8e9, CHIP),
    memoryBytes: vendor(64e9, MEMORY),
    memoryBytesPerSecond: vendor(1.6e12, BANDWIDTH),
    tile,
    efficiency: {
      gemm: derived(0.85, `${GEMM_FIT}; ${SAME_CORE}, and one 910B GEMM not fitted comes out within 2 %`),
      groupedGemm: assumed(0.61, `${GROUPED_FIT}; ${SAME_CORE}, but bf16 was not timed`),
      memory: assumed(0.77, `${MEMORY_FIT}; copied`),
    },
    attention: attention(),
    blend: assumed(2, `${BLEND}; ${SAME_CORE}`),
    overheadSeconds: {
      matrixKernel: derived(15e-6, `${GEMM_FIT}; ${SAME_CORE}`),
      vectorKernel: vendor(2e-6, VECTOR),
    },
  },
  "ascend-910b3": {
    title: "Ascend 910B3",
    headlineFlopsPerSecond: vendor(313e12, HEADLINE),
    peakFlopsPerSecond: vendor(294.9e12, MODEL),
    eightBit: int8(vendor(589.8e12, MODEL)),
    cores: vendor(20, CHIP),
    clockHertz: vendor(1.8e9, CHIP),
    memoryBytes: vendor(64e9, MEMORY),
    memoryBytesPerSecond: vendor(1.6e12, BANDWIDTH),
    ...copiedFromTheDie(NOT_TIMED),
  },
  "ascend-910b4": {
    title: "Ascend 910B4",
    headlineFlopsPerSecond: vendor(280e12, `${MODEL}; more than matrix and vector units add up to, unexplained`),
    peakFlopsPerSecond: vendor(245.8e12, MODEL),
    eightBit: int8(vendor(491.5e12, MODEL)),
    cores: vendor(20, MODEL),
    clockHertz: vendor(1.5e9, MODEL),
    memoryBytes: vendor(64e9, MEMORY),
    memoryBytesPerSecond: vendor(1.6e12, BANDWIDTH),
    ...copiedFromTheDie(NOT_TIMED),
  },
  "ascend-910b4-pcie": {
    title: "Ascend 910B4, PCIe card of 32 GB",
    headlineFlopsPerSecond: vendor(280e12, `${MODEL}; more than matrix and vector units add up to, unexplained`),
    peakFlopsPerSecond: vendor(245.8e12, MODEL),
    eightBit: int8(vendor(491.5e12, MODEL)),
    cores: vendor(20, MODEL),
    clockHertz: vendor(1.5e9, MODEL),
    memoryBytes: vendor(32e9, MEMORY),
    memoryBytesPerSecond: vendor(0.8e12, MODEL),
    ...copiedFromTheDie(NOT_TIMED),
  },
  "ascend-910c-die": {
    title: "Ascend 910C, one of its two dies",
    headlineFlopsPerSecond: vendor(376e12, HEADLINE),
    peakFlopsPerSecond: vendor(353.9e12, MODEL),
    eightBit: int8(vendor(707.8e12, MODEL)),
    cores: vendor(24, MODEL),
    clockHertz: vendor(1.8e9, MODEL),
    memoryBytes: vendor(64e9, MEMORY),
    memoryBytesPerSecond: vendor(1.6e12, `half of a chip's 3.2 TB/s; ${BANDWIDTH}`),
    tile,
    efficiency: {
      gemm: derived(0.85, GEMM_FIT),
      groupedGemm: derived(0.61, GROUPED_FIT),
      memory: derived(0.77, MEMORY_FIT),
    },
    attention: attention(`${SAME_CORE}; not timed here`),
    blend: derived(2, BLEND),
    overheadSeconds: { matrixKernel: derived(15e-6, GEMM_FIT), vectorKernel: vendor(2e-6, VECTOR) },
  },
  "ascend-950pr": {
    title: "Ascend 950PR, server part",
    headlineFlopsPerSecond: vendor(486e12, PAPER_950),
    peakFlopsPerSecond: vendor(432e12, PAPER_950),
    eightBit: fp8(vendor(865e12, PAPER_950), derived(0.9, FIT_950)),
    cores: vendor(32, PAPER_950),
    clockHertz: vendor(1.65e9, PAPER_950),
    memoryBytes: vendor(128e9, PAPER_950),
    memoryBytesPerSecond: vendor(1.6e12, PAPER_950),
    ...of950(derived(0.9, FIT_950)),
  },
  "ascend-950pr-pcie": {
    title: "Ascend 950PR, PCIe card (Atlas 350)",
    headlineFlopsPerSecond: vendor(425e12, MODEL),
    peakFlopsPerSecond: vendor(378e12, MODEL),
    eightBit: fp8(vendor(756e12, MODEL), assumed(0.9, `${FIT_950}; the server part, not this card`)),
    cores: vendor(28, MODEL),
    clockHertz: vendor(1.65e9, MODEL),
    memoryBytes: vendor(120.3e9, `${MODEL}: 112 GiB`),
    memoryBytesPerSecond: vendor(1.54e12, `${MODEL}: 1.4 TiB/s`),
    ...of950(assumed(0.9, `${FIT_950}; the server part, not this card`)),
  },
  "ascend-950dt": {
    title: "Ascend 950DT",
    headlineFlopsPerSecond: vendor(486e12, "stas00/ml-engineering (744d01e1), from the product page"),
    peakFlopsPerSecond: assumed(486e12, "the only figure published; may be a headline, as 432 + 54 of the 950PR"),
    eightBit: fp8(
      vendor(919e12, "stas00/ml-engineering (744d01e1), from the product page"),
      assumed(0.9, `${FIT_950}; the 950PR, not this part`),
    ),
    cores: assumed(32, "not published; those of the 950PR"),
    memoryBytes: vendor(96e9, "product page, in stas00/ml-engineering (744d01e1); the keynote said 144 GB"),
    memoryBytesPerSecond: vendor(4e12, "keynote and product page: 4.0 TB/s"),
    ...of950(assumed(0.9, `${FIT_950}; the 950PR, not this part`)),
  },
  "ascend-310p": {
    title: "Ascend 310P, one of the two chips of an Atlas 300I Duo (an inference card)",
    headlineFlopsPerSecond: vendor(70e12, "product text of the Atlas 300I Duo: 140 TFLOPS a card of two"),
    peakFlopsPerSecond: derived(69.5e12, `${CHIP}: 8 cores · 1.06 GHz · 8192`),
    eightBit: int8(vendor(140e12, "product text of the Atlas 300I Duo: 280 TOPS a card of two")),
    cores: vendor(8, CHIP),
    clockHertz: vendor(1.06e9, `${CHIP}: 1.06 to 1.08 GHz`),
    memoryBytes: vendor(48e9, "product text of the Atlas 300I Duo: 96 GB a card of two"),
    memoryBytesPerSecond: vendor(204e9, "product text of the Atlas 300I Duo: 408 GB/s a card of two"),
    ...copiedFromTheDie(NOT_TIMED),
    efficiency: {
      gemm: assumed(0.8, "a guess below the 910C's; never timed"),
      groupedGemm: assumed(0.61, `${GROUPED_FIT}; ${NOT_TIMED}`),
      memory: assumed(0.6, "msmodeling (84fec853): default"),
    },
  },
} satisfies Record<string, Device>;
