/** Knobs of the router, the batch and the machine. */
import * as z from "zod/mini";
import { balancingRules } from "../../balance/rules.ts";
import { devices } from "../../cluster/devices.ts";
import { topologies } from "../../cluster/topologies.ts";
import { knobSchema } from "../../config/fields.ts";
import { capacityKnobs } from "../../routing/capacity.ts";
import { contenderOptions } from "../batch/contenders.ts";
import { titled } from "../glossary.ts";
import { menu, slider } from "./knob.ts";

const powers = (first: number, last: number): number[] => {
  const stops = [first];
  while (stops.at(-1)! < last) stops.push(stops.at(-1)! * 2);
  return stops;
};

/** 0: no capacity, nothing is dropped. */
const capacityFactor = z.union([z.literal(0), knobSchema(capacityKnobs.factor)]) as unknown as z.ZodMiniType<number>;

const contender = z.enum(Object.keys(contenderOptions) as (keyof typeof contenderOptions)[]);
const contenderHelp = { en: "the rule that picks experts for tokens", zh: "为词元挑选专家的规则" };

export const routingKnobs = {
  left: menu({
    of: contender,
    initial: "topk",
    options: contenderOptions,
    label: { en: "Router on the left", zh: "左侧路由器" },
    help: contenderHelp,
  }),
  right: menu({
    of: contender,
    initial: "moge",
    options: contenderOptions,
    label: { en: "Router on the right", zh: "右侧路由器" },
    help: contenderHelp,
  }),
  experts: slider({
    of: "model.experts",
    stops: powers(4, 256),
    label: { en: "Experts N", zh: "专家数 N" },
    help: { en: "routed experts of one layer", zh: "一层中被路由的专家数" },
  }),
  topK: slider({
    of: "model.topK",
    stops: [1, 2, 3, 4, 6, 8, 12, 16],
    label: { en: "Experts a token K", zh: "每个词元的专家数 K" },
    help: { en: "experts chosen for a token", zh: "为每个词元选择的专家数" },
  }),
  groups: slider({
    of: "model.groups",
    stops: powers(1, 64),
    label: { en: "Groups M", zh: "组数 M" },
    help: {
      en: "groups of neighbouring experts; MoGE takes K/M from each",
      zh: "相邻专家构成的组；MoGE 从每组取 K/M 个",
    },
  }),
  devices: slider({
    of: "cluster.devices",
    stops: powers(1, 64),
    label: { en: "Devices D", zh: "设备数 D" },
    help: { en: "devices that share the experts, N/D each", zh: "分担专家的设备，每台 N/D 个" },
  }),
  tokens: slider({
    of: z.int().check(z.minimum(1), z.maximum(4096)),
    initial: 256,
    stops: powers(16, 1024),
    label: { en: "Tokens T", zh: "词元数 T" },
    help: { en: "tokens of the batch", zh: "批次中的词元数" },
  }),
  skew: slider({
    of: z.number().check(z.minimum(0), z.maximum(4)),
    initial: 0.5,
    stops: [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3],
    label: { en: "Skew", zh: "偏斜" },
    help: {
      en: "how much the router likes some experts better than others: spread of the experts' popularity among the logits",
      zh: "路由器偏爱某些专家的程度：各专家受欢迎程度在 logit 中的离散度",
    },
  }),
  capacity: slider({
    of: capacityFactor,
    initial: 0,
    stops: [0, 1, 1.1, 1.25, 1.5, 2, 3, 4],
    label: { en: "Capacity factor", zh: "容量系数" },
    help: {
      en: "an expert takes at most this many times its even share; the rest is dropped. 0: all of them",
      zh: "每个专家最多接收平均份额的这么多倍，其余丢弃。0：全部接收",
    },
  }),
  balance: slider({
    of: knobSchema({ ...balancingRules["switch-loss"].knobs.coefficient, kind: "number" }) as z.ZodMiniType<number>,
    initial: 0,
    stops: [0, 0.01, 0.03, 0.1, 0.3, 1],
    label: { en: "Balancing loss α", zh: "均衡损失 α" },
    help: {
      en: "coefficient of the auxiliary loss with which the router is trained for a moment before it routes",
      zh: "路由前短暂训练路由器所用辅助损失的系数",
    },
  }),
  limit: slider({
    of: "router.group-limited.limit",
    stops: [1, 2, 3, 4, 6, 8],
    label: { en: "Groups a token may use", zh: "每个词元可用的组数" },
    help: { en: "of the group-limited router", zh: "用于组受限路由器" },
  }),
  tokensPerDevice: slider({
    of: "target.tokensPerRank",
    stops: powers(128, 32768),
    label: { en: "Tokens a device", zh: "每台设备的词元数" },
    help: {
      en: "how many tokens each device brings to the step; every token of the batch stands for equally many",
      zh: "每台设备在一步中带来的词元数；批次中每个词元代表同样多个",
    },
  }),
  device: menu({
    of: "cluster.device",
    options: titled(devices),
    label: { en: "Device", zh: "设备型号" },
    help: { en: "which accelerator computes", zh: "用哪种加速器计算" },
  }),
  topology: menu({
    of: "cluster.topology",
    options: titled(topologies),
    label: { en: "Links", zh: "互连" },
    help: { en: "how the devices are joined", zh: "设备如何互连" },
  }),
  seed: slider({
    of: "seed",
    stops: [1, 2, 3, 4, 5, 6, 7, 8],
    label: { en: "Seed", zh: "种子" },
    help: { en: "every random draw comes from it", zh: "所有随机数都来自它" },
  }),
};
