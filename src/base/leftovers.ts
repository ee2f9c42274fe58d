/**
 * Working files that a dead process cannot leave behind for good: their names say who made them, so
 * that the next run knows which of them nobody works on any more.
 *
 * A working file of `disk.raw` is `.disk.raw.ingot-<pid>-<start time>-<label>`; the start time tells
 * a process from a later one with the same number.
 */
import { readFileSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

const PATTERN = /^\.(.+)\.ingot-(\d+)-(\d+)-[a-z0-9-]+$/

/**
 * The path of a working file of this process, beside `path`. A working file of a working file is one
 * of the file that all of it is for, so that it is found when that is looked for.
 */
export function workingPath(path: string, label: string): string {
  if (PATTERN.test(basename(path))) return `${path}-${label}`
  return join(
    dirname(path),
    `.${basename(path)}.ingot-${process.pid}-${startTimeOf(process.pid) ?? 0}-${label}`,
  )
}

/** Working files beside `path` for the same file: who made each, and whether they live. */
export async function findWorkingFiles(
  path: string,
): Promise<{ path: string; pid: number; alive: boolean }[]> {
  const names = await readdir(dirname(path))
  return names.flatMap((name) => {
    const [, of, pid, startTime] = PATTERN.exec(name) ?? []
    if (of !== basename(path) || pid === undefined) return []
    return [
      {
        path: join(dirname(path), name),
        pid: Number(pid),
        alive: startTimeOf(Number(pid)) === Number(startTime),
      },
    ]
  })
}

/** Removes working files of `path` whose makers are dead; the paths that were removed. */
export async function removeLeftovers(path: string): Promise<string[]> {
  const dead = (await findWorkingFiles(path)).filter(({ alive }) => !alive)
  for (const { path } of dead) await rm(path, { recursive: true, force: true })
  return dead.map(({ path }) => path)
}

/**
 * When a process started, in clock ticks since boot; undefined if there is none.
 * Source: proc_pid_stat(5), field 22; the second field may hold spaces and parentheses.
 */
export function startTimeOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  } catch {
    return undefined
  }
}
