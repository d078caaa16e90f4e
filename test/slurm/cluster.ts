/**
 * A real Slurm on this machine: one node, plain processes, ports of its own, everything in one folder. Its programs
 * come from Debian's packages slurm-wlm and munge; `.ci/run` installs them.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export interface Cluster {
  /** For every Slurm command. */
  readonly environment: NodeJS.ProcessEnv;
  /** Kills the node's daemon as a crash would. */
  killNode(): Promise<void>;
  startNode(): Promise<void>;
  stop(): Promise<void>;
}

/** Why no cluster is started here, or undefined. */
export function whyNoCluster(): string | undefined {
  const missing = ["munged", "slurmctld", "slurmd", "sbatch"].filter((program) => find(program) === undefined);
  if (missing.length > 0) return `${missing.join(", ")} not found; apt-get install slurm-wlm munge`;
  return process.getuid?.() === 0 ? undefined : "its daemons want to be root";
}

/** @throws Error with the daemon's last words when it does not come up */
export async function startCluster(): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), "moge-slurm-"));
  chmodSync(folder, 0o755); // munge refuses a socket that not everybody can reach
  for (const name of ["munge", "state", "spool"]) mkdirSync(join(folder, name), { mode: 0o755 });
  const port = 20_000 + (process.pid % 20_000);
  const configuration = join(folder, "slurm.conf");
  writeFileSync(configuration, slurmConf(folder, port));
  writeFileSync(join(folder, "munge", "key"), randomBytes(1024), { mode: 0o400 });
  const environment = { ...process.env, SLURM_CONF: configuration };
  const daemons: ChildProcess[] = [];
  const start = (program: string, args: string[]): ChildProcess => {
    const child = spawn(find(program)!, args, { env: environment, stdio: "ignore" });
    daemons.push(child);
    return child;
  };
  const munge = (name: string) => join(folder, "munge", name);
  start("munged", [
    "--foreground",
    "--force",
    `--key-file=${munge("key")}`,
    `--socket=${munge("socket")}`,
    `--pid-file=${munge("pid")}`,
    `--log-file=${munge("log")}`,
    `--seed-file=${munge("seed")}`,
  ]);
  await until(
    () => existsSync(munge("socket")),
    () => lastLines(munge("log")),
  );
  start("slurmctld", ["-D", "-i", "-f", configuration]);
  let node = start("slurmd", ["-D", "-f", configuration]);
  const isUp = () => answers(environment, "sinfo", ["--noheader", "--format=%T"], /^(idle|mixed|allocated)/m);
  await until(isUp, () => lastLines(join(folder, "slurmctld.log")) + lastLines(join(folder, "slurmd.log")));
  return {
    environment,
    async killNode() {
      const gone = new Promise((done) => node.once("exit", done));
      node.kill("SIGKILL");
      await gone;
    },
    async startNode() {
      const before = registration(environment);
      node = start("slurmd", ["-D", "-f", configuration]);
      const isBack = () => ![before, undefined].includes(registration(environment)) && isUp();
      await until(isBack, () => lastLines(join(folder, "slurmd.log")));
    },
    async stop() {
      await emptyQueue(environment);
      const gone = daemons.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
      const ends = gone.map((child) => new Promise((done) => child.once("exit", done)));
      for (const child of gone.reverse()) child.kill("SIGTERM");
      await Promise.race([Promise.all(ends), delay(10_000)]);
      for (const child of gone) child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Tasks at a time, whatever cores there are: what one waits for in the tests is mostly Slurm itself. */
const SLOTS = 4;

/** A requeued task waits until its credential has expired: 5 s here, two minutes by default. */
function slurmConf(folder: string, port: number): string {
  return `
ClusterName=moge
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=${port}
SlurmdPort=${port + 1}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=${join(folder, "munge", "socket")},cred_expire=5
StateSaveLocation=${join(folder, "state")}
SlurmdSpoolDir=${join(folder, "spool")}
SlurmctldPidFile=${join(folder, "slurmctld.pid")}
SlurmdPidFile=${join(folder, "slurmd.pid")}
SlurmctldLogFile=${join(folder, "slurmctld.log")}
SlurmdLogFile=${join(folder, "slurmd.log")}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
JobRequeue=1
KillWait=5
MinJobAge=600
SlurmdTimeout=15
SchedulerParameters=sched_interval=1,sched_min_interval=100000
SlurmdParameters=config_overrides
NodeName=${hostname()} NodeAddr=127.0.0.1 CPUs=${SLOTS} RealMemory=4000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;
}

function find(program: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

function answers(environment: NodeJS.ProcessEnv, program: string, args: string[], pattern: RegExp): boolean {
  try {
    return pattern.test(execFileSync(program, args, { env: environment, encoding: "utf8", stdio: "pipe" }));
  } catch {
    return false;
  }
}

/** When the node's daemon last began, as the controller knows it; undefined while it does not answer. */
function registration(environment: NodeJS.ProcessEnv): string | undefined {
  try {
    const node = execFileSync("scontrol", ["show", "node"], { env: environment, encoding: "utf8", stdio: "pipe" });
    return /SlurmdStartTime=\S+/.exec(node)?.[0];
  } catch {
    return undefined;
  }
}

/** What still ran when its daemons went would stay for good. */
async function emptyQueue(environment: NodeJS.ProcessEnv): Promise<void> {
  const isEmpty = () => answers(environment, "squeue", ["--noheader"], /^$/);
  for (const end = Date.now() + 30_000; Date.now() < end && !isEmpty(); await delay(200)) {
    answers(environment, "scancel", [`--user=${userInfo().username}`], /^/);
  }
}

async function until(holds: () => boolean, why: () => string): Promise<void> {
  for (const end = Date.now() + 120_000; Date.now() < end; await delay(200)) if (holds()) return;
  throw new Error(`Slurm did not come up: ${why()}`);
}

const lastLines = (path: string): string =>
  existsSync(path) ? readFileSync(path, "utf8").trim().split("\n").slice(-5).join("; ") : `${path} was not written`;
