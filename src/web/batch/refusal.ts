/** Why a router cannot route: what the core says, and the same in Chinese by what is at odds in the config. */

import { topologies } from "../../cluster/topologies.ts";
import { topologyDevices } from "../../cluster/topology.ts";
import { contradictions } from "../../config/rules.ts";
import type { RunConfig } from "../../config/schema.ts";
import type { Phrase } from "../phrase.ts";

/** The first of what is wrong, or undefined. */
export function refusalOf(config: RunConfig): Phrase | undefined {
  const [problem] = contradictions(config);
  if (problem === undefined) return undefined;
  const [key] = problem.keys;
  return { en: `${key}: ${problem.message}`, zh: `${key}：${chinese(config, key) ?? problem.message}` };
}

/** What a knob of the page can set at odds, in the order in which the core asks. */
function chinese({ model, router, cluster }: RunConfig, key: string): string | undefined {
  const { experts, topK, groups } = model;
  const { devices, topology } = cluster;
  if (key === "cluster.devices") return `${experts} 个专家不能平均分给 ${devices} 台设备`;
  if (key === "target.expertParallel") {
    return `${devices} 台设备超过互连 ${topology} 所能连接的 ${topologyDevices(topologies[topology])} 台`;
  }
  if (key !== "model.topK") return undefined;
  const isLimited = router.selection === "group-limited";
  if ((isLimited || router.selection === "moge") && experts % groups !== 0) {
    return `${experts} 个专家不能分成 ${groups} 个大小相等的组`;
  }
  if (router.selection === "moge" && topK % groups !== 0)
    return `topK ${topK} 不是组数 ${groups} 的倍数，而 MoGE 要求如此`;
  const limit = Number(router["group-limited"]?.["limit"]);
  if (isLimited && limit > groups) return `每个词元可用 ${limit} 组，多于现有的 ${groups} 组`;
  const open = (experts / groups) * limit;
  if (isLimited && topK > open) return `topK ${topK} 多于 ${limit} 个组中的 ${open} 个专家`;
  return topK > experts ? `topK ${topK} 多于现有的 ${experts} 个专家` : undefined;
}
