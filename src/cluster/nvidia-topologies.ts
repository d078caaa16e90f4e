/** How NVIDIA devices are joined, for comparison; and an ideal switch, for tests. */
import { flatShare, noRamp, wholeShare } from "./plain-links.ts";
import { assumed, derived, measured, type Sourced, vendor } from "./sourced.ts";
import type { Topology } from "./topology.ts";

const MLE = "achieved all-to-all, nccl-tests #212 and nccl #1531";
const NVIDIA = "NVIDIA data sheet";
const NCCL = "NVIDIA/nccl tuning.cc (5067397c): Simple protocol, base";
const CEILING = "a ceiling for what is priced; not a property of the network";
const DEFINITION = "a definition: no latency, nothing lost";

/** An NVIDIA server of 8 and a network of them. */
const dgx = (
  title: string,
  nvlink: number,
  nvlinkShare: Sourced<number>,
  network: number,
  networkShare: Sourced<number>,
): Topology => ({
  title,
  levels: [
    {
      title: "NVLink",
      size: vendor(8, NVIDIA),
      wiring: vendor("switch", NVIDIA),
      port: "NVLink",
      bytesPerSecond: vendor(nvlink, NVIDIA),
      efficiency: nvlinkShare,
      latencySeconds: assumed(1e-6, "near NCCL's NVLink hop of 0.6 to 3.4 µs"),
    },
    {
      title: "InfiniBand",
      size: assumed(16_384, CEILING),
      wiring: vendor("switch", NVIDIA),
      port: "InfiniBand",
      bytesPerSecond: vendor(network, NVIDIA),
      efficiency: networkShare,
      latencySeconds: derived(4e-6, "NVIDIA/nccl tuning.cc (5067397c): ring hop of 2.7 to 14 µs over a network"),
    },
  ],
  collectiveSeconds: derived(7e-6, `${NCCL} 6.6 to 8.4 µs`),
  bulk: noRamp("NCCL's tuning changes protocol by size; not modelled here"),
  allToAllShare: flatShare,
  gatherShare: wholeShare,
});

export const nvidiaTopologies = {
  "dgx-a100": dgx(
    "DGX A100: NVLink and HDR InfiniBand",
    300e9,
    measured(0.65, "calculon-ai/calculon systems (caa4b11f)"),
    25e9,
    measured(0.9, "calculon-ai/calculon systems (caa4b11f)"),
  ),
  "dgx-h100": dgx(
    "DGX H100: NVLink and NDR InfiniBand",
    450e9,
    measured(0.82, `${MLE}: 370 of 450 GB/s`),
    50e9,
    assumed(0.9, "calculon-ai/calculon systems (caa4b11f), of HDR"),
  ),
  "dgx-h800": dgx(
    "H800 servers: NVLink and CX7 InfiniBand",
    200e9,
    measured(0.8, "deepseek-ai/DeepEP README: about 160 GB/s usable"),
    50e9,
    derived(0.92, "NCCL's LL128 factor, NVIDIA/nccl tuning.cc (5067397c); 48.5 of 50 GB/s is a NIC's own"),
  ),
  ideal: {
    title: "an ideal switch: 1e11 bytes/s between any two devices",
    levels: [
      {
        title: "ideal",
        size: assumed(1_000_000, DEFINITION),
        wiring: assumed("switch", DEFINITION),
        port: "ideal",
        bytesPerSecond: assumed(1e11, DEFINITION),
        efficiency: assumed(1, DEFINITION),
        latencySeconds: assumed(0, DEFINITION),
      },
    ],
    collectiveSeconds: assumed(0, DEFINITION),
    bulk: noRamp(DEFINITION),
    allToAllShare: assumed([1], DEFINITION),
    gatherShare: assumed(1, DEFINITION),
  },
} satisfies Record<string, Topology>;
