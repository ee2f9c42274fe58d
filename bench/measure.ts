/**
 * What commands cost. Everything in `bench/` measures by this file: a command runs under GNU time,
 * which counts the processor time of all processes that were started and waited for on its behalf.
 */
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { exitOf, runProcess, startProcess } from '../src/base/process.ts'

const TIME = '/usr/bin/time'
const KIB = 1024
const LOOK_MS = 10

export interface Cost {
  wallS: number
  /** User and system, the children's too. */
  cpuS: number
  /** Bytes that the largest single process held in memory. */
  peak: number
  /** The machine's load average over the minute before. */
  load: number
}

export interface Command {
  argv: readonly string[]
  /** Added to the environment of the benchmark. */
  env?: Readonly<Record<string, string>>
  cwd?: string
}

/** Runs a command to its end. Throws, with the end of its output, when it does not succeed. */
export async function measure({ argv, env, cwd }: Command): Promise<Cost> {
  if (!existsSync(TIME)) throw new Error('GNU time is missing: run bench/setup')
  const directory = await mkdtemp(join(tmpdir(), 'ingot-measure-'))
  try {
    const file = join(directory, 'cost')
    const [load = 0] = loadavg()
    const startedAt = performance.now()
    const { code, stdout, stderr } = await runProcess(
      [TIME, '--format=%U %S %M', '--output', file, '--', ...argv],
      { cwd, env: { ...ownEnvironment(), ...env } },
    )
    const wallS = (performance.now() - startedAt) / 1000
    if (code !== 0) throw new Error(`${argv[0]} ended with ${code}: ${tail(stdout, stderr)}`)
    const line = (await readFile(file, 'utf8')).trim().split('\n').at(-1) ?? ''
    const [user = NaN, system = NaN, peakKiB = NaN] = line.split(' ').map(Number)
    return { wallS, cpuS: user + system, peak: peakKiB * KIB, load }
  } finally {
    await rm(directory, { recursive: true })
  }
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
