/** Installed disks that are kept: by a digest of all that went into them, each whole or not there. */
import { createHash } from 'node:crypto'
import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../base/context.ts'
import { systemCode } from '../../base/failure.ts'
import { withFileLock } from '../../base/file-lock.ts'
import { removeLeftovers, workingPath } from '../../base/leftovers.ts'
import { runTool } from '../../base/process.ts'

export interface JeosOrder {
  /** What went into it: the plan, and digests of the media. */
  readonly inputs: readonly string[]
  readonly directory: string
  /** The disk is made here. */
  readonly path: string
  readonly context: Context
}

/**
 * Puts the installed disk at `path`: a copy of one that is kept, or made by `install`, and then kept. Of builds that
 * want the same at a time, one installs and the others wait. Whether it was kept already.
 * Fails as `install`, and with NO_SPACE, INTERRUPTED.
 */
export async function useJeosCache(
  { inputs, directory, path, context }: JeosOrder,
  install: () => Promise<void>,
): Promise<boolean> {
  await mkdir(directory, { recursive: true })
  const key = createHash('sha256').update(JSON.stringify(inputs)).digest('hex')
  const kept = join(directory, `${key}.raw`)
  return await withFileLock(`${kept}.lock`, context.signal, async () => {
    await removeLeftovers(kept)
    if (await isThere(kept)) {
      await copyDisk(kept, path, context)
      return true
    }
    await install()
    const working = workingPath(kept, 'fill')
    try {
      await copyDisk(path, working, context)
      await rename(working, kept)
    } finally {
      await rm(working, { force: true })
    }
    return false
  })
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error
      return false
    },
  )
}

/** Holes stay holes, and blocks are shared where the file system can. */
async function copyDisk(from: string, to: string, { signal }: Context): Promise<void> {
  await runTool(['cp', '--reflink=auto', '--sparse=always', '--', from, to], { signal })
}
