/** A Kubernetes Indexed Job: a pod an index, each carrying out a slice of the sweep by one idempotent command. */
import type { Job } from "kubernetes-types/batch/v1.d.ts";
import type { ConfigMap } from "kubernetes-types/core/v1.d.ts";
import { stringify } from "yaml";
import { ExecutorError } from "./executor.ts";

export interface ManifestRequest {
  readonly name: string;
  readonly runs: number;
  /** Content of sweep.json. */
  readonly plan: string;
  readonly image: string;
  /** Persistent volume claim that the results go to, mounted at /results. */
  readonly volume: string;
  /** For moge task. */
  readonly flags: readonly string[];
  /** Main memory of the largest run. */
  readonly bytes: number;
}

const MEBIBYTE = 1_048_576;
const MOST_INDICES = 10_000;
/** etcd takes a megabyte; a ConfigMap is a little more than its data. */
const MOST_PLAN_BYTES = 900_000;

/** @returns YAML of a ConfigMap with the plan and of the Job @throws ExecutorError for a plan too large for a ConfigMap */
export function indexedJob(request: ManifestRequest): string {
  const { name, runs, plan, flags } = request;
  if (Buffer.byteLength(plan) > MOST_PLAN_BYTES) {
    throw new ExecutorError(
      `the plan of ${runs} runs has ${Buffer.byteLength(plan)} bytes, and a ConfigMap takes ${MOST_PLAN_BYTES}; split the sweep`,
    );
  }
  const label = nameFor(name);
  const completions = Math.min(runs, MOST_INDICES);
  const slice = ["--index", "$(JOB_COMPLETION_INDEX)", "--count", String(completions)];
  const command = ["moge", "task", `/results/${name}`, "--plan", "/plan/sweep.json", ...flags, ...slice];
  return [configMap(label, plan), job(label, completions, command, request)]
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

/**
 * Exit code 75 means checkpointed: the pod is begun again and does not count as failed. After 2 and 3 another attempt
 * would end the same way.
 */
const job = (
  name: string,
  completions: number,
  command: readonly string[],
  { image, volume, bytes }: ManifestRequest,
): Job => ({
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
        { action: "FailIndex", onExitCodes: { containerName: "moge", operator: "In", values: [2, 3] } },
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
            resources: { requests: { cpu: "1", memory: `${Math.ceil(bytes / MEBIBYTE)}Mi` } },
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
