/** The directory tree of a guest before it becomes a file system: counted, settled, removed. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { runTool } from '../base/process.ts'

/** What is in a tree. */
export interface TreeCount {
  files: number
  directories: number
  links: number
  others: number
  /** Bytes of all files. */
  bytes: number
}

/** Remembers a moment; what is changed in a tree later can be told by it. */
export async function markMoment(scratch: string): Promise<string> {
  const mark = join(scratch, 'build-began')
  await writeFile(mark, '')
  return mark
}

/**
 * Takes out of a finished tree what only the build needed, and gives all that came to be since `mark`
 * one time: files as packages bring them keep theirs.
 */
export async function settleTree(
  tree: string,
  options: { mark: string; time: Date; launcher: readonly string[] },
  context: Context,
): Promise<void> {
  const script = `
set -eu
cd "$1"
rm -rf var/lib/apt/lists/* var/cache/apt/archives/*.deb run/* dev/*
find . -xdev -newer "$2" -exec touch --no-dereference --date="$3" -- {} +`
  await runTool(
    [
      ...options.launcher,
      'sh',
      '-c',
      script,
      'settle',
      tree,
      options.mark,
      options.time.toISOString(),
    ],
    { signal: context.signal },
  )
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
