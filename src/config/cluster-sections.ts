/** The sections of the schema that say what is priced and on which machine. */
import * as z from "zod/mini";
import { devices } from "../cluster/devices.ts";
import { dispatchModes } from "../cluster/projection.ts";
import { topologies } from "../cluster/topologies.ts";
import { placements } from "../placement/placements.ts";
import { choice, count, described, section } from "./fields.ts";

export const target = described(
  z.optional(
    z.strictObject({
      name: described(z._default(z.string(), "Pangu Pro MoE layer"), "how reports call it"),
      layers: count(1, "MoE layers priced; trained layers stand for them by depth fraction", 1000),
      hiddenSize: count(5120, "H of the priced model"),
      expertHiddenSize: count(1344, "F of the priced model"),
      experts: count(64, "N; must equal the trained model's"),
      topK: count(8, "K; must equal the trained model's"),
      groups: count(8, "M; must equal the trained model's"),
      expertParallel: count(8, "devices that share the experts of a layer"),
      tokensPerRank: count(4096, "tokens on each of them, a layer and step", 1_000_000),
      bytesPerValue: count(2, "bytes of a value in compute and transfer; 2 is bf16"),
      dispatch: choice(dispatchModes, "deduplicated", "how a token reaches several experts on one device"),
      window: count(16, "steps whose tokens are pooled before they are drawn from", 10_000),
    }),
  ),
  "what is priced: a layer of a real model, fed with the trained router's choices; none: nothing is priced",
);

export const cluster = section(
  {
    devices: count(8, "simulated devices of the trained model's expert-parallel group, D"),
    placement: choice(placements, "contiguous", "which device holds which expert"),
    device: choice(devices, "ascend-910b2", "device preset"),
    topology: choice(topologies, "a2-8xhccs-roce", "link preset"),
  },
  "the simulated cluster",
);
