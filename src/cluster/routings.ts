/** Routings of all layers out of profiles of some. */
import type { Routing } from "./job.ts";
import type { RoutingProfile } from "./routing-profile.ts";

/** Routing of a dense model. */
export const noRouting: Routing = {
  title: "no experts",
  blocks: 1,
  microBatches: 1,
  profile() {
    throw new Error("a dense model has no routing");
  },
};

/** One profile for each of some layers, which the model's layers share by depth fraction. */
export function layeredRouting(title: string, profiles: readonly RoutingProfile[], layers: number): Routing {
  return {
    title,
    blocks: 1,
    microBatches: 1,
    profile: (layer) =>
      profiles[Math.min(profiles.length - 1, Math.floor(((2 * layer + 1) * profiles.length) / (2 * layers)))]!,
  };
}
