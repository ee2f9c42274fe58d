import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asFileFailure } from '../base/failure.ts'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'

/**
 * Makes the file `path` whole or not at all: `fill` writes it under another name beside it, and only
 * when it is done and on the disk does it take its name, in the place of what was there. Without `sync`
 * it need not be on the disk yet: quicker, and as safe as any copy when the power fails. When `fill`
 * fails nothing is left; what a killed process leaves is removed by the next one (`base/leftovers.ts`).
 *
 * Fails with FILE_NOT_FOUND (no such directory), FILE_UNREADABLE, NO_SPACE, and as `fill` does; system
 * errors of `fill` are taken to be about this file.
 */
export async function writeWholeFile<T>(
  path: string,
  label: string,
  fill: (file: FileHandle) => Promise<T>,
  { sync = true }: { sync?: boolean } = {},
): Promise<T> {
  const working = workingPath(path, label)
  try {
    await removeLeftovers(path)
    const file = await open(working, 'wx')
    try {
      const result = await fill(file)
      if (sync) await file.sync()
      await file.close()
      await rename(working, path)
      if (sync) await syncDirectory(dirname(path))
      return result
    } catch (error) {
      await file.close()
      await rm(working, { force: true })
      throw error
    }
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

/**
 * As `writeWholeFile`, for files that belong together, and for programs that write files themselves:
 * `fill` is given a path for each, at which there is nothing yet, and makes them all. They take their
 * names one right after the other, the first one last: where it is, the others are.
 */
export async function writeWholeFiles<T>(
  paths: readonly [string, ...string[]],
  label: string,
  fill: (workingPaths: string[]) => Promise<T>,
  { sync = true }: { sync?: boolean } = {},
): Promise<T> {
  const working = paths.map((path) => workingPath(path, label))
  try {
    for (const path of paths) await removeLeftovers(path)
    const result = await fill(working)
    if (sync) await Promise.all(working.map(syncFile))
    for (const [index, path] of [...paths.entries()].reverse())
      await rename(working[index] ?? path, path)
    const directories = new Set(paths.map((path) => dirname(path)))
    if (sync) await Promise.all([...directories].map(syncDirectory))
    return result
  } catch (error) {
    for (const path of working) await rm(path, { force: true })
    throw asFileFailure(error, paths[0])
  }
}

async function syncFile(path: string): Promise<void> {
  await using file = await open(path)
  await file.sync()
}

/** So that the name is on the disk too. */
export async function syncDirectory(path: string): Promise<void> {
  await syncFile(path)
}
