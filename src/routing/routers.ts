/** The table of routers. A new one is one file beside this and one line here. */
import { moge } from "./moge.ts";
import type { Router } from "./router.ts";
import { topk } from "./topk.ts";

export const routers = { topk, moge } satisfies Record<string, Router>;

export type RouterName = keyof typeof routers;
