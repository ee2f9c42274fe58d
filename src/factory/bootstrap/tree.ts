/** The directory tree of a guest before it becomes a file system: counted, settled, removed. */
import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../base/context.ts'
import { runTool } from '../../base/process.ts'

/** What is in a tree. */
export interface TreeCount {
  files: number
  directories: number
  links: number
  others: number
  /** Bytes of all files. */
  bytes: number
}

/** Now, by the clock that files get their times from; a second early, since that clock is coarse. */
export async function readFileClock(directory: string): Promise<Date> {
  const file = join(directory, 'clock')
  await writeFile(file, '')
  const { mtimeMs } = await stat(file)
  return new Date(mtimeMs - 1000)
}

/**
 * Takes out of a finished tree what only the build needed, and gives all that came to be since the
 * build began one time: files as packages bring them keep theirs.
 */
export async function settleTree(
  tree: string,
  options: { began: Date; time: Date; launcher: readonly string[] },
  context: Context,
): Promise<void> {
  const script = `
set -eu
cd "$1"
rm -rf var/cache/apt/archives/*.deb run/* dev/*
if [ -d var/lib/apt/lists ]; then find var/lib/apt/lists -type f -delete; fi
find . -xdev -newermt "$2" -exec touch --no-dereference --date="$3" -- {} +`
  const words = [tree, options.began.toISOString(), options.time.toISOString()]
  await runTool([...options.launcher, 'sh', '-c', script, 'settle', ...words], {
    signal: context.signal,
  })
}

/** Counts what is in a tree; a file with several names counts as one. */
export async function countTree(
  tree: string,
  launcher: readonly string[],
  context: Context,
): Promise<TreeCount> {
  const argv = [...launcher, 'find', tree, '-xdev', '-printf', '%y %i %s\\n']
  const listing = (await runTool(argv, { signal: context.signal, maxOutput: 1 << 28 })).toString()
  const count = { files: 0, directories: 0, links: 0, others: 0, bytes: 0 }
  const seen = new Set<string>()
  for (const line of listing.split('\n')) {
    const [type, inode = '', size = '0'] = line.split(' ')
    if (type === undefined || type === '' || seen.has(inode)) continue
    seen.add(inode)
    if (type === 'd') count.directories++
    else if (type === 'l') count.links++
    else if (type !== 'f') count.others++
    else {
      count.files++
      count.bytes += Number(size)
    }
  }
  return count
}

/** Removes a tree with all it holds, also when the build was interrupted. */
export async function removeTree(tree: string, launcher: readonly string[]): Promise<void> {
  if (launcher.length > 0)
    await runTool([...launcher, 'rm', '-rf', '--one-file-system', '--', tree])
  await rm(tree, { recursive: true, force: true })
}
