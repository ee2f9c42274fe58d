/** What the processes of a server used, those that it started included. Source: proc(5). */
import { readdirSync, readFileSync } from 'node:fs'
import { KiB } from '../../src/base/units.ts'

const TICKS_PER_S = 100

/** The process and all that descend from it. */
export function processTree(pid: number): number[] {
  const children = threadsOf(pid).flatMap((thread) =>
    read(`/proc/${pid}/task/${thread}/children`).trim().split(' ').filter(Boolean),
  )
  return [pid, ...children.flatMap((child) => processTree(Number(child)))]
}

/** Seconds of processor time, user and system, since they began; children that ended are counted. */
export function cpuOf(pids: readonly number[]): number {
  return sum(pids, (pid) => {
    const stat = read(`/proc/${pid}/stat`)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields.slice(11, 15).reduce((total, ticks) => total + Number(ticks), 0) / TICKS_PER_S
  })
}

/** Bytes that they sent to disks, or are about to. */
export function writtenBy(pids: readonly number[]): number {
  return sum(pids, (pid) => numberIn(`/proc/${pid}/io`, /^write_bytes: (\d+)$/m))
}

/** Bytes of memory that they hold. */
export function memoryOf(pids: readonly number[]): number {
  return sum(pids, (pid) => numberIn(`/proc/${pid}/status`, /^VmRSS:\s+(\d+) kB$/m) * KiB)
}

/** The most memory that each has held since it began, together; bytes. */
export function peakOf(pids: readonly number[]): number {
  return sum(pids, (pid) => numberIn(`/proc/${pid}/status`, /^VmHWM:\s+(\d+) kB$/m) * KiB)
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

function sum(pids: readonly number[], of: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + of(pid), 0)
}

function numberIn(path: string, pattern: RegExp): number {
  return Number(pattern.exec(read(path))?.[1] ?? 0)
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // it has just ended
  }
}
