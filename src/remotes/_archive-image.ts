/** The archive of a guest's root by this host's kernel and tar program, inside the sandbox. */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '../base/failure.ts'
import { runProcess, runTool } from '../base/process.ts'
import { EMPTY_DIRECTORIES, EXCLUDED_PATTERNS } from './archive.ts'
import { resolveInGuest } from './_guest-files.ts'
import { type Mount, mountImage } from './_mount-image.ts'
import { plainEnvironment } from './plain-environment.ts'

/** GNU tar, told to keep everything that a file is. */
const TAR = [
  'tar',
  '--create',
  '--format=posix',
  '--pax-option=delete=atime,delete=ctime',
  '--numeric-owner',
  '--xattrs',
  '--xattrs-include=*',
  '--sparse',
  '--sort=name',
  '--anchored',
]

/**
 * Archives the image's own tree, without what the sandbox has laid over it: it is mounted once more,
 * read-only, for only as long as the tar program reads it. Fails with REMOTE_CANNOT, NO_SPACE.
 */
export async function archiveImage(
  { image, mounts }: { image: string; mounts: readonly Mount[] },
  scratch: string,
  file: string,
): Promise<void> {
  const pristine = join(scratch, `archive-${randomUUID()}`)
  mkdirSync(pristine)
  const placed: string[] = []
  try {
    for (const mount of mounts) {
      if (EMPTY_DIRECTORIES.includes(mount.at)) continue
      const at = resolveInGuest(pristine, mount.at)
      if (!existsSync(at))
        throw new Failure('REMOTE_CANNOT', `the guest has no ${mount.at} to mount anything at`)
      await mountImage(image, mount, at, true)
      placed.push(at)
    }
    await runTar([`--file=${file}`, `--directory=${pristine}`, '.'])
  } finally {
    for (const at of placed.toReversed()) await runTool(['umount', at])
  }
}

async function runTar(words: readonly string[]): Promise<void> {
  const excludes = EXCLUDED_PATTERNS.map((pattern) => `--exclude=${pattern}`)
  const { code, stderr } = await runProcess([...TAR, ...excludes, ...words], {
    env: plainEnvironment,
  })
  if (code === 0) return
  const why = stderr.toString().trim().split('\n').at(-1) ?? ''
  throw new Failure(
    stderr.includes('No space left on device') ? 'NO_SPACE' : 'REMOTE_CANNOT',
    `the root cannot be archived: tar ended with ${code}: ${why}`,
  )
}
