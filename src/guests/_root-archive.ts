/** A guest's root on its way into other archives: read once, written as often as it is wanted. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../base/context.ts'
import { asFileFailure } from '../base/failure.ts'
import { removeLeftovers, workingPath } from '../base/leftovers.ts'
import type { Put } from '../bytes/packed-file.ts'
import { openFileSource, type Source } from '../bytes/source.ts'
import { contentOf, readTreeArchive, type StoredMember } from '../formats/read-tree-archive.ts'
import { settleHoles } from '../formats/settle-holes.ts'
import type { TreeMember } from '../formats/tree-archive.ts'
import { TreeArchiveWriter } from '../formats/write-tree-archive.ts'
import type { Remote } from '../remotes/remote.ts'
import type { MetadataFiles } from './container-metadata.ts'

/** An archived root. Closing it removes the archive. */
export interface RootArchive extends AsyncDisposable {
  readonly members: readonly StoredMember[]
  /** The newest time of anything in it: seconds since 1970. */
  readonly newest: number
  /** Writes an archive with the root in the directory `under` (the archive's own root when left out). */
  write(put: Put, options?: RootArchiveOptions): Promise<void>
}

export interface RootArchiveOptions {
  readonly under?: string
  /** Only what squashfs can hold: times of 32 bits, no attributes that are the kernel's own. */
  readonly forSquashfs?: boolean
  /** Small files of root's that come first. */
  readonly files?: MetadataFiles
}

/** Squashfs has times of 32 bits without a sign. */
const MAX_SQUASHFS_TIME = 2 ** 32 - 1

/** The last second that a `Date` knows; file systems know later ones, which no clock has shown. */
const MAX_TIME = 8_640_000_000_000

/** Archives the root of a guest into a directory for this alone. Fails as `Remote.archive` does. */
export async function openRootArchive(
  remote: Remote,
  tempDir: string,
  context: Context,
): Promise<RootArchive> {
  const place = join(tempDir, 'export')
  const scratch = workingPath(place, context.newId())
  await using opened = new AsyncDisposableStack()
  opened.defer(() => rm(scratch, { recursive: true, force: true }))
  try {
    await mkdir(tempDir, { recursive: true })
    await removeLeftovers(place)
    await mkdir(scratch, { mode: 0o700 }) // guests have secrets
    const path = join(scratch, 'root.tar')
    await remote.archive(path)
    const source = opened.use(await openFileSource(path))
    const members = await readTreeArchive(source)
    const kept = opened.move()
    return {
      members,
      newest: newestOf(members),
      write: (put, options = {}) => writeRoot(put, source, members, options),
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    }
  } catch (error) {
    throw asFileFailure(error, tempDir)
  }
}

function newestOf(members: readonly StoredMember[]): number {
  const times = members.map(({ mtime }) => mtime).filter((mtime) => mtime <= MAX_TIME)
  return times.reduce((newest, mtime) => Math.max(newest, mtime), 0)
}

async function writeRoot(
  put: Put,
  source: Source,
  members: readonly StoredMember[],
  options: RootArchiveOptions,
): Promise<void> {
  const archive = new TreeArchiveWriter(put)
  await addFiles(archive, options.files ?? {}, newestOf(members))
  for (const member of members) {
    const read = contentOf(source, member)
    const { node } = member
    const settled = node.type === 'file' ? await settleHoles(node, read) : node
    await archive.add(placed({ ...member, node: settled }, options), read)
  }
  await archive.end()
}

/** An archive of small files alone. */
export async function writeFileArchive(
  put: Put,
  files: MetadataFiles,
  mtime: number,
): Promise<void> {
  const archive = new TreeArchiveWriter(put)
  await addFiles(archive, files, mtime)
  await archive.end()
}

async function addFiles(
  archive: TreeArchiveWriter,
  files: MetadataFiles,
  mtime: number,
): Promise<void> {
  const attributes = { uid: 0, gid: 0, mtime, extended: new Map() }
  const directories = new Set<string>()
  for (const [path, text] of Object.entries(files)) {
    const content = Buffer.from(text)
    const slash = path.lastIndexOf('/')
    const directory = path.slice(0, Math.max(slash, 0))
    if (directory !== '' && !directories.has(directory))
      await archive.add({
        path: directory,
        mode: 0o755,
        node: { type: 'directory' },
        ...attributes,
      })
    directories.add(directory)
    const data = content.length > 0 ? [{ offset: 0, length: content.length }] : []
    const node = { type: 'file', size: content.length, data } as const
    await archive.add({ path, mode: 0o644, node, ...attributes }, async (offset, length) =>
      content.subarray(offset, offset + length),
    )
  }
}

function placed(member: TreeMember, { under, forSquashfs }: RootArchiveOptions): TreeMember {
  const at = (path: string) =>
    under === undefined ? path : path === '' ? under : `${under}/${path}`
  const { node } = member
  const moved: TreeMember = {
    ...member,
    path: at(member.path),
    node: node.type === 'hard link' ? { ...node, target: at(node.target) } : node,
  }
  if (forSquashfs !== true) return moved
  const kept = [...member.extended].filter(([name]) => !isKernelsOwn(name))
  return {
    ...moved,
    mtime: Math.min(Math.max(member.mtime, 0), MAX_SQUASHFS_TIME),
    extended: kept.length === member.extended.size ? member.extended : new Map(kept),
  }
}

/** Access lists, which squashfs has no place for. */
export function isKernelsOwn(attribute: string): boolean {
  return attribute.startsWith('system.')
}
