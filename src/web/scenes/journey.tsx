/** One token's journey through a layer. */
import type { Scene } from "../scene.ts";

export const journey: Scene = {
  name: "journey",
  lead: {
    en: "Follow one token from the router's logits to the sum of its experts' outputs.",
    zh: "跟随一个词元，从路由器的 logit 到专家输出之和。",
  },
  View: () => <p>…</p>,
};
