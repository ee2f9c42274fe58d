/**
 * What commands cost. Everything in `bench/` measures by this file: a command runs in a control group
 * of its own, whose processor time is that of every process that was started on its behalf. What
 * wait(2) and GNU time tell would leave out whole builds: process time is handed up only by those who
 * wait for their children, and not every launcher on the way does.
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile, rmdir } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { exitOf, runProcess, startProcess } from '../src/base/process.ts'

/** Where processor time is accounted: control groups of version 1, or of version 2. */
const ACCOUNTS = [
  { root: '/sys/fs/cgroup/cpuacct', file: 'cpuacct.usage', pattern: /^(\d+)$/m, perSecond: 1e9 },
  { root: '/sys/fs/cgroup', file: 'cpu.stat', pattern: /^usage_usec (\d+)$/m, perSecond: 1e6 },
]
const KIB = 1024
const LOOK_MS = 10

export interface Cost {
  wallS: number
  /** User and system, of all processes. */
  cpuS: number
  /** The machine's load average over the minute before. */
  load: number
}

export interface Command {
  argv: readonly string[]
  /** Added to the environment of the benchmark. */
  env?: Readonly<Record<string, string>>
  cwd?: string
}

/** A control group; what runs in it, and what that starts, is accounted together. Closed when all of it has ended. */
export interface Account extends AsyncDisposable {
  /** Before a command, which then runs in the group. */
  readonly enter: readonly string[]
  /** Processor time until now: user and system, of all processes that were ever in it. */
  readCpuS(): Promise<number>
  /** The processes that are in it now. */
  readPids(): Promise<number[]>
}

export async function openAccount(): Promise<Account> {
  const kind = ACCOUNTS.find(({ root, file }) => existsSync(join(root, file)))
  if (kind === undefined) throw new Error('this host has no control groups that account time')
  const { root, file, pattern, perSecond } = kind
  const group = join(root, `ingot-bench-${process.pid}`)
  const members = join(group, 'cgroup.procs')
  await mkdir(group)
  return {
    enter: ['sh', '-c', 'echo $$ > "$0" && exec "$@"', members],
    readCpuS: async () =>
      Number(pattern.exec(await readFile(join(group, file), 'utf8'))?.[1]) / perSecond,
    readPids: async () => (await readFile(members, 'utf8')).split('\n').filter(Boolean).map(Number),
    [Symbol.asyncDispose]: async () => await rmdir(group),
  }
}

/** Runs a command to its end. Throws, with the end of its output, when it does not succeed. */
export async function measure({ argv, env, cwd }: Command): Promise<Cost> {
  await using account = await openAccount()
  const [load = 0] = loadavg()
  const startedAt = performance.now()
  const { code, stdout, stderr } = await runProcess([...account.enter, ...argv], {
    cwd,
    env: { ...ownEnvironment(), ...env },
  })
  const wallS = (performance.now() - startedAt) / 1000
  if (code !== 0) throw new Error(`${argv[0]} ended with ${code}: ${tail(stdout, stderr)}`)
  return { wallS, cpuS: await account.readCpuS(), load }
}

/**
 * The most that the process of the command itself held in memory, in bytes; what it starts is not
 * counted. Source: proc_pid_status(5), VmHWM, which only ever rises until the process ends.
 */
export async function measureOwnPeak({ argv, env, cwd }: Command): Promise<number> {
  const child = startProcess(argv, {
    cwd,
    env: { ...ownEnvironment(), ...env },
    stdio: 'ignore',
  })
  let peakKiB = 0
  const look = () => {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readStatus(child.pid))?.[1]
    peakKiB = Math.max(peakKiB, Number(found ?? 0))
  }
  const timer = setInterval(look, LOOK_MS)
  const code = await exitOf(child, argv[0] ?? '')
  clearInterval(timer)
  if (code !== 0) throw new Error(`${argv[0]} ended with ${code}`)
  return peakKiB * KIB
}

function readStatus(pid: number | undefined): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8')
  } catch {
    return '' // it has just ended
  }
}

/** The middle one; of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? NaN
  return (lower + upper) / 2
}

/** Every guest that is emulated is emulated alike: what KVM gives differs from machine to machine. */
function ownEnvironment(): Record<string, string> {
  return {
    ...(process.env as Record<string, string>),
    INGOT_ACCELERATOR: 'tcg',
    LIBGUESTFS_BACKEND: 'direct',
    LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
  }
}

function tail(...outputs: Buffer[]): string {
  return outputs
    .flatMap((output) => output.toString().trim().split('\n').slice(-8))
    .join('\n')
    .trim()
}
