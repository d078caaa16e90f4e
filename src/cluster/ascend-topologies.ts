/** How Ascend devices are joined. A new topology is one entry here. */
import { flatShare, MIB, noRamp, UNKNOWN_SHARE, wholeShare } from "./plain-links.ts";
import { assumed, derived, measured, vendor } from "./sourced.ts";
import type { Level, Topology } from "./topology.ts";

const MODEL = "Ascend/msmodeling communication model at 84fec853, Huawei's own";
const HCCS = `${MODEL}, and the HCCL contest text: 7 links of 56 GB/s both ways together a card`;
const FLAT = "flat share; no public all-to-all sweep of an A2 server exists, and an AllReduce of 16 MB reached 0.32";
const DEFAULT = `${MODEL}: default share`;
const STRATA = "StrataCL, arXiv:2607.26444 (read in notes)";
const GRID = `${MODEL}: grid of 48 nodes, 8 chips, 2 dies`;
const CLOS =
  "CloudMatrix384 paper, arXiv:2506.12708: two levels of UB switches, both behind the same 7 lanes of 224 Gb/s a die";
const ACHIEVED = "the bandwidth is the achieved one";
const HCCL = "Horacehxw/msModeling comm_alignment_report_20260312, CANN 8.5, A3";
const BULK = `${HCCL}: AllGather on 16 ranks is 85 µs + 70.8 µs/MB from 1.3 to 40 MiB; below 0.5 MB it takes 5 to 31 µs`;
const DEEPEP =
  "sgl-project/sgl-kernel-npu DeepEP-Ascend (f425bdf1), normal mode: mean of dispatch and combine 135, 105 and 98 GB/s " +
  "on 8, 16 and 32 dies, over the 170 and 150 GB/s of this preset";
const CEILING = "a ceiling for what is priced; not a property of the network";

const vendorSio: Level = {
  title: "SIO",
  size: vendor(2, GRID),
  wiring: vendor("switch", MODEL),
  port: "SIO",
  bytesPerSecond: vendor(224e9, MODEL),
  efficiency: vendor(0.7, DEFAULT),
  latencySeconds: vendor(0.2e-6, MODEL),
};
const vendorUb: Level = {
  title: "UB inside a node",
  size: vendor(8, GRID),
  wiring: vendor("switch", CLOS),
  port: "UB",
  bytesPerSecond: vendor(196e9, MODEL),
  efficiency: vendor(0.7, DEFAULT),
  latencySeconds: vendor(0.5e-6, MODEL),
};

export const ascendTopologies = {
  "a2-8xhccs-roce": {
    title: "Atlas 800T A2: servers of 8 cards in an HCCS full mesh, RoCE between servers",
    levels: [
      {
        title: "HCCS",
        size: vendor(8, HCCS),
        wiring: vendor("mesh", HCCS),
        port: "HCCS",
        bytesPerSecond: vendor(196e9, HCCS),
        efficiency: assumed(0.7, FLAT),
        latencySeconds: vendor(0.5e-6, `${MODEL}, marked there as to be confirmed`),
      },
      {
        title: "RoCE",
        size: assumed(16_384, CEILING),
        wiring: vendor("switch", MODEL),
        port: "RoCE",
        bytesPerSecond: vendor(25e9, `${MODEL}: 200 Gb/s a card`),
        efficiency: assumed(0.7, FLAT),
        latencySeconds: vendor(1.5e-6, MODEL),
      },
    ],
    collectiveSeconds: vendor(10e-6, `${MODEL}: static cost of a communication operation`),
    bulk: {
      fromBytes: assumed(0.5 * MIB, `${BULK}; copied`),
      startSeconds: assumed(85e-6, `${BULK}; the same library, never measured on A2`),
    },
    allToAllShare: flatShare,
    gatherShare: wholeShare,
  },
  "a2-pcie": {
    title: "A2 server with PCIe cards",
    levels: [
      {
        title: "PCIe",
        size: assumed(8, "cards of one server"),
        wiring: assumed("switch", "one root complex"),
        port: "PCIe",
        bytesPerSecond: vendor(64e9, MODEL),
        efficiency: assumed(0.7, FLAT),
        latencySeconds: vendor(0.2e-6, MODEL),
      },
    ],
    collectiveSeconds: vendor(10e-6, `${MODEL}: static cost of a communication operation`),
    bulk: noRamp(UNKNOWN_SHARE),
    allToAllShare: flatShare,
    gatherShare: wholeShare,
  },
  "a3-vendor": {
    title: "Atlas A3 / CloudMatrix384 as Huawei's model has it",
    levels: [
      vendorSio,
      vendorUb,
      {
        ...vendorUb,
        title: "UB between nodes",
        size: vendor(48, GRID),
        latencySeconds: vendor(5.5e-6, MODEL),
      },
    ],
    collectiveSeconds: vendor(10e-6, `${MODEL}: static cost of a communication operation`),
    bulk: noRamp("the vendor's model has none"),
    allToAllShare: flatShare,
    gatherShare: wholeShare,
  },
  "a3-measured": {
    title: "Atlas A3 / CloudMatrix384 as measured: two dies a chip over SIO, 8 chips a node and 48 nodes over UB",
    levels: [
      { ...vendorSio, bytesPerSecond: measured(210e9, STRATA), efficiency: derived(1, ACHIEVED) },
      {
        ...vendorUb,
        bytesPerSecond: measured(170e9, STRATA),
        efficiency: derived(1, ACHIEVED),
        latencySeconds: measured(0.7e-6, STRATA),
      },
      {
        ...vendorUb,
        title: "UB between nodes",
        size: vendor(48, GRID),
        bytesPerSecond: measured(150e9, STRATA),
        efficiency: derived(1, ACHIEVED),
        latencySeconds: measured(2.1e-6, STRATA),
      },
    ],
    collectiveSeconds: assumed(6e-6, `near the 6.4 to 8.1 µs of small collectives on 8 ranks, ${HCCL}`),
    bulk: { fromBytes: measured(0.5 * MIB, BULK), startSeconds: derived(85e-6, BULK) },
    allToAllShare: derived([0.79, 0.66, 0.65], DEEPEP),
    gatherShare: derived(1.15, `${BULK}: 212 GB/s, of which one of 15 peers over SIO, over the 170 of point-to-point`),
  },
  "a3-roce": {
    title: "Atlas A3 nodes joined by RoCE",
    levels: [
      vendorSio,
      vendorUb,
      {
        title: "RoCE",
        size: assumed(8192, CEILING),
        wiring: vendor("switch", MODEL),
        port: "RoCE",
        bytesPerSecond: vendor(24.5e9, `${MODEL}; called a placeholder there`),
        efficiency: vendor(0.7, DEFAULT),
        latencySeconds: vendor(5.5e-6, MODEL),
      },
    ],
    collectiveSeconds: vendor(10e-6, `${MODEL}: static cost of a communication operation`),
    bulk: noRamp("the vendor's model has none"),
    allToAllShare: flatShare,
    gatherShare: wholeShare,
  },
  "950pr-4xub": {
    title: "Ascend 950PR: 4 cards in a UB mesh, PCIe and socket links beyond",
    levels: [
      {
        title: "UB",
        size: vendor(4, MODEL),
        wiring: vendor("mesh", MODEL),
        port: "UB",
        bytesPerSecond: vendor(159e9, `${MODEL}: 3 links of 53 GB/s`),
        efficiency: vendor(0.85, MODEL),
        latencySeconds: vendor(1.5e-6, MODEL),
      },
      {
        title: "PCIe",
        size: vendor(2, MODEL),
        wiring: vendor("switch", MODEL),
        port: "PCIe",
        bytesPerSecond: vendor(32e9, MODEL),
        efficiency: vendor(0.56, MODEL),
        latencySeconds: vendor(3e-6, MODEL),
      },
      {
        title: "UPI",
        size: vendor(2, MODEL),
        wiring: vendor("switch", MODEL),
        port: "PCIe",
        bytesPerSecond: vendor(24e9, MODEL),
        efficiency: vendor(0.525, MODEL),
        latencySeconds: vendor(4.5e-6, MODEL),
      },
    ],
    collectiveSeconds: vendor(5e-6, `${MODEL}: static cost on the 950`),
    bulk: noRamp("the vendor's model has none"),
    allToAllShare: flatShare,
    gatherShare: wholeShare,
  },
  "950dt-superpod": {
    title: "Ascend 950DT SuperPoD",
    levels: [
      {
        title: "UB",
        size: vendor(1024, "product page; the keynote said 8192 cards"),
        wiring: assumed("switch", "as CloudMatrix384"),
        port: "UB",
        bytesPerSecond: vendor(840e9, "product page: 1.68 TB/s both ways"),
        efficiency: vendor(0.7, DEFAULT),
        latencySeconds: assumed(2.1e-6, `${STRATA}; borrowed from the A3`),
      },
    ],
    collectiveSeconds: vendor(5e-6, `${MODEL}: static cost on the 950`),
    bulk: noRamp("nothing measured"),
    allToAllShare: flatShare,
    gatherShare: wholeShare,
  },
  "300i-duo": {
    title: "a server of Atlas 300I Duo cards: chips over PCIe",
    levels: [
      {
        title: "PCIe 4.0",
        size: assumed(8, "chips of one server"),
        wiring: assumed("switch", "one root complex"),
        port: "PCIe",
        bytesPerSecond: vendor(32e9, "PCIe 4.0 x16, nominal"),
        efficiency: assumed(0.6, "nothing measured"),
        latencySeconds: assumed(3e-6, `${MODEL}: PCIe of the 950PR; borrowed`),
      },
    ],
    collectiveSeconds: vendor(10e-6, `${MODEL}: static cost of a communication operation`),
    bulk: noRamp("nothing measured"),
    allToAllShare: flatShare,
    gatherShare: wholeShare,
  },
} satisfies Record<string, Topology>;
