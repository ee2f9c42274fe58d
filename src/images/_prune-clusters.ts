import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../base/failure.ts'

/** Removes those compressed disks that were made or used longest ago, until the others take no more than `maxSize`. */
export async function pruneClusters(directory: string, maxSize: number): Promise<void> {
  const files = []
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    const found = await stat(path).catch(ignoreMissing)
    if (found?.isFile()) files.push({ path, size: found.blocks * 512, usedAt: usedAt(found) })
  }
  let left = maxSize
  for (const { path, size } of files.toSorted((a, b) => b.usedAt - a.usedAt)) {
    left -= size
    if (left < 0) await rm(path, { force: true }) // whoever has it open reads on
  }
}

function usedAt({ atimeMs, mtimeMs }: { atimeMs: number; mtimeMs: number }): number {
  return Math.max(atimeMs, mtimeMs)
}

function ignoreMissing(error: unknown): undefined {
  if (systemCode(error) !== 'ENOENT') throw error
}
