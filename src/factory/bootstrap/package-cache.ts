/** Packages that were downloaded once, kept for the next build. */
import { copyFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCode } from '../../base/failure.ts'

/**
 * Moves the packages in `archives` into the cache; of each it keeps the newest, so that
 * the cache does not grow with every update.
 */
export async function keepPackages(archives: string, cache: string): Promise<void> {
  for (const name of await listPackages(archives))
    await move(join(archives, name), join(cache, name))
  const newest = new Map<string, { name: string; mtimeMs: number }>()
  for (const name of await listPackages(cache)) {
    const { mtimeMs } = await stat(join(cache, name))
    const key = name.replace(/_[^_]*_/, ' ') // name_version_architecture.deb
    const other = newest.get(key)
    if (other === undefined || other.mtimeMs < mtimeMs) newest.set(key, { name, mtimeMs })
    const older = newest.get(key)?.name === name ? other?.name : name
    if (older !== undefined) await rm(join(cache, older), { force: true })
  }
}

async function listPackages(directory: string): Promise<string[]> {
  return (await readdir(directory)).filter((name) => name.endsWith('.deb')).toSorted()
}

/** Never half there under its name, also across file systems. */
async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (systemCode(error) !== 'EXDEV') throw error
    const beside = `${to}.part-${process.pid}`
    await copyFile(from, beside)
    await rename(beside, to)
    await rm(from)
  }
}
