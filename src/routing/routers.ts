/** The table of routers. A new one is one file beside this and one line here. */
import { baseAssignment } from "./base-assignment.ts";
import { expertChoice } from "./expert-choice.ts";
import { groupLimited } from "./group-limited.ts";
import { gshardTop2 } from "./gshard-top2.ts";
import { hash } from "./hash.ts";
import { moge } from "./moge.ts";
import { mogeVoted } from "./moge-voted.ts";
import { noisyTopk } from "./noisy-topk.ts";
import { oracle } from "./oracle.ts";
import { relu } from "./relu.ts";
import { roundRobin } from "./round-robin.ts";
import type { Router } from "./router.ts";
import { sinkhornRouter } from "./sinkhorn.ts";
import { switchTop1 } from "./switch.ts";
import { topk } from "./topk.ts";
import { uniform } from "./uniform.ts";

export const routers = {
  topk,
  moge,
  "moge-voted": mogeVoted,
  "group-limited": groupLimited,
  switch: switchTop1,
  "gshard-top2": gshardTop2,
  "noisy-topk": noisyTopk,
  "expert-choice": expertChoice,
  sinkhorn: sinkhornRouter,
  "base-assignment": baseAssignment,
  relu,
  hash,
  uniform,
  "round-robin": roundRobin,
  oracle,
} satisfies Record<string, Router>;

export type RouterName = keyof typeof routers;

/** An entry of the table, without the types of its knobs. */
export const routerNamed = (name: RouterName): Router => routers[name];
