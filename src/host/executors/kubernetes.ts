/** A Kubernetes Indexed Job: a pod an index, each carrying out a slice of the sweep by one idempotent command. */
import type { Job } from "kubernetes-types/batch/v1.d.ts";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { stringify } from "yaml";

export interface ManifestRequest {
  readonly name: string;
  readonly runs: number;
  /** Content of sweep.json. */
  readonly plan: string;
  readonly image: string;
  /** Persistent volume claim that the results go to, mounted at /results. */
  readonly volume: string;
}

const MOST_INDICES = 10_000;
/** etcd takes a megabyte; a ConfigMap is a little more than its data. */
const MOST_PLAN_BYTES = 900_000;

/** @returns YAML of a ConfigMap with the plan and of the Job @throws RangeError for a plan too large for a ConfigMap */
export function indexedJob({ name, runs, plan, image, volume }: ManifestRequest): string {
  if (Buffer.byteLength(plan) > MOST_PLAN_BYTES) {
    throw new RangeError(
      `the plan of ${runs} runs has ${Buffer.byteLength(plan)} bytes, and a ConfigMap takes ${MOST_PLAN_BYTES}; split the sweep`,
    );
  }
  const label = nameFor(name);
  const completions = Math.min(runs, MOST_INDICES);
  const command = ["moge", "task", `/results/${name}`, "--plan", "/plan/sweep.json"];
  return [
    configMap(label, plan),
    job(
      label,
      completions,
      [...command, "--index", "$(JOB_COMPLETION_INDEX)", "--count", String(completions)],
      image,
      volume,
    ),
  ]
    .map((object) => stringify(object, { lineWidth: 0 }))
    .join("---\n");
}

/** Lower-case letters, digits and "-": what names of objects may hold. */
const nameFor = (name: string): string =>
  `moge-${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`.slice(0, 50).replace(/-+$/, "");

const configMap = (name: string, plan: string): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: `${name}-plan` },
  data: { "sweep.json": plan },
});

/** Exit code 75 means checkpointed: the pod is begun again and does not count as failed. */
const job = (name: string, completions: number, command: readonly string[], image: string, volume: string): Job => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name, labels: { app: "moge" } },
  spec: {
    completionMode: "Indexed",
    completions,
    parallelism: Math.min(completions, 100),
    backoffLimitPerIndex: 3,
    podFailurePolicy: {
      rules: [
        { action: "Ignore", onExitCodes: { containerName: "moge", operator: "In", values: [75] } },
        { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        { action: "FailIndex", onExitCodes: { containerName: "moge", operator: "In", values: [2] } },
      ],
    },
    template: {
      metadata: { labels: { app: "moge" } },
      spec: {
        restartPolicy: "Never",
        terminationGracePeriodSeconds: 60,
        containers: [
          {
            name: "moge",
            image,
            command: [...command],
            resources: { requests: { cpu: "1", memory: "512Mi" } },
            volumeMounts: [
              { name: "results", mountPath: "/results" },
              { name: "plan", mountPath: "/plan", readOnly: true },
            ],
          },
        ],
        volumes: [
          { name: "results", persistentVolumeClaim: { claimName: volume } },
          { name: "plan", configMap: { name: `${name}-plan` } },
        ],
      },
    },
  },
});
