/** Knobs of live training. */
import * as z from "zod/mini";
import { balancingRules } from "../../balance/rules.ts";
import { knobSchema } from "../../config/fields.ts";
import { same } from "../phrase.ts";
import { menu, slider, text } from "./knob.ts";

/** What the texts of the page are, each in a phrase that its bytes tell apart. */
const SENTENCE = "Call me Ishmael. 17*30=510 return false; 编译器选项";

export const trainingKnobs = {
  steps: slider({
    of: "training.steps",
    stops: [50, 100, 200, 300, 500, 1000],
    label: { en: "Steps", zh: "步数" },
    help: { en: "optimizer steps; the learning rate falls towards the last", zh: "优化步数；学习率向最后一步递减" },
  }),
  coefficient: slider({
    of: knobSchema({ ...balancingRules["switch-loss"].knobs.coefficient, kind: "number" }) as z.ZodMiniType<number>,
    initial: 0.1,
    stops: [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1],
    label: { en: "Balancing loss α", zh: "均衡损失 α" },
    help: {
      en: "coefficient of the auxiliary loss that both models are trained with",
      zh: "两个模型训练时共用的辅助损失系数",
    },
  }),
  rate: slider({
    of: "training.learningRate",
    stops: [0.001, 0.002, 0.003, 0.006, 0.01, 0.02],
    label: { en: "Learning rate", zh: "学习率" },
    help: { en: "at its peak, after the warm-up", zh: "预热之后的峰值" },
  }),
  domains: text({
    of: z.string().check(z.regex(/^[\w,-]*$/)),
    initial: "",
    longest: 200,
    label: { en: "Texts", zh: "文本" },
    help: {
      en: "built-in texts to train on, by name, with commas between; none: all",
      zh: "用来训练的内置文本，按名字，以逗号分隔；空：全部",
    },
  }),
  speed: menu({
    of: z.enum(["full", "four", "one"]),
    initial: "full",
    options: {
      full: { en: "as fast as it goes", zh: "全速" },
      four: { en: "4 steps a second", zh: "每秒 4 步" },
      one: { en: "1 step a second", zh: "每秒 1 步" },
    },
    label: { en: "Speed", zh: "速度" },
    help: { en: "how many steps a second at most", zh: "每秒最多多少步" },
  }),
  layer: menu({
    of: z.enum(["1", "2"]),
    initial: "2",
    options: { "1": same("1"), "2": same("2") },
    label: { en: "MoE layer", zh: "MoE 层" },
    help: { en: "which of the model's layers the pictures of experts show", zh: "专家图显示模型的哪一层" },
  }),
  sentence: text({
    of: z.string(),
    initial: SENTENCE,
    longest: 120,
    label: { en: "Your sentence", zh: "你的句子" },
    help: { en: "whose bytes are routed while the models learn", zh: "在模型学习时，路由其中的每个字节" },
  }),
};
