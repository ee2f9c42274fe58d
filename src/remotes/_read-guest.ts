/** From an image file to the files of its guest, by our own parsers only. */
import { basename } from 'node:path'
import { Failure, isFailure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { type Source, windowOf } from '../bytes/source.ts'
import { type Ext, openExt } from '../formats/ext.ts'
import { type ImageFormat, openImage } from '../formats/open-image.ts'
import { type GuestTree, makeGuestTree } from './_guest-tree.ts'
import { type DiskFileSystem, findRoot, type GuestMount, surveyDisk } from './find-root.ts'

const EXT: ReadonlySet<string> = new Set(['ext2', 'ext3', 'ext4'])
/** What holds other file systems, which nobody here looks into. */
const CONTAINERS: ReadonlySet<string> = new Set(['LVM2_member', 'linux_raid_member'])

/** An open guest. Closing it closes the image. */
export interface ReadGuest extends GuestTree, AsyncDisposable {
  readonly rootFileSystem: string
}

/** Opens a file system of the disk, each only once. */
type OpenFileSystem = (fileSystem: DiskFileSystem) => Promise<Ext>

/** Opens the guest in an image, a file or any source. Fails as `openImage`, `findRoot` and `openExt`. */
export async function openGuest(
  from: string | Source,
  options: { format?: ImageFormat | undefined; rootFileSystem?: string | undefined },
): Promise<ReadGuest> {
  const image = await openImage(from, { format: options.format })
  try {
    const openOnce = openerOf(image.disk)
    const question = { image: basename(image.path), named: options.rootFileSystem }
    const mounts = await findCertainRoot(await surveyDisk(image.disk), openOnce, question)
    const trees = mounts.map(async (mount) => ({
      path: mount.at,
      tree: await openOnce(mount.fileSystem).catch((error: unknown) => cannotRead(mount, error)),
    }))
    return {
      ...makeGuestTree(await Promise.all(trees)),
      rootFileSystem: mounts[0]?.fileSystem.device ?? '',
      [Symbol.asyncDispose]: () => image[Symbol.asyncDispose](),
    }
  } catch (error) {
    await image[Symbol.asyncDispose]()
    throw error
  }
}

/**
 * The root of a disk and what is mounted below it, for ways that need more than reading to go on.
 * Fails as `findRoot` and `openExt`; with FILE_SYSTEM_UNSUPPORTED where reading cannot tell.
 */
export async function findRootByReading(
  disk: Source,
  question: { image: string; named?: string | undefined },
): Promise<GuestMount[]> {
  return await findCertainRoot(await surveyDisk(disk), openerOf(disk), question)
}

function openerOf(disk: Source): OpenFileSystem {
  const opened = new Map<string, Promise<Ext>>()
  const open = async ({ device, type, offset = 0, length = disk.size }: DiskFileSystem) => {
    const name = `${disk.name}: ${device}`
    if (EXT.has(type)) return await openExt(windowOf(disk, offset, length, name))
    throw new Failure('FILE_SYSTEM_UNSUPPORTED', `${name} is ${type}; only ext is read directly`)
  }
  return (fileSystem) => {
    const known = opened.get(fileSystem.device) ?? open(fileSystem)
    opened.set(fileSystem.device, known)
    return known
  }
}

/** What those are told who come by a mount point whose file system cannot be read. */
function cannotRead({ at, fileSystem }: GuestMount, cause: unknown): Failure {
  return new Failure(
    'REMOTE_CANNOT',
    `what is below ${at} stands on ${fileSystem.device} (${fileSystem.type}), which cannot be read directly`,
    { cause, fix: 'Use --via appliance.' },
  )
}

/**
 * The root, if it is certain that it is the only one: a file system that cannot be read may hold
 * another, unless the root was named, or the guest that was found mounts it.
 */
async function findCertainRoot(
  fileSystems: readonly DiskFileSystem[],
  openOnce: OpenFileSystem,
  question: { image: string; named?: string | undefined },
): Promise<GuestMount[]> {
  const unread = new Map<DiskFileSystem, Failure>()
  const readTexts = async (fileSystem: DiskFileSystem, paths: readonly string[]) => {
    try {
      const tree = makeGuestTree([{ path: '/', tree: await openOnce(fileSystem) }])
      return await Promise.all(paths.map((path) => readText(tree, path)))
    } catch (error) {
      if (!isFailure(error)) throw error
      unread.set(fileSystem, error)
      return []
    }
  }
  for (const fileSystem of fileSystems)
    if (CONTAINERS.has(fileSystem.type)) await readTexts(fileSystem, [])
  try {
    const mounts = await findRoot(fileSystems, readTexts, question)
    const mounted = new Set(mounts.map(({ fileSystem }) => fileSystem))
    const hidden = [...unread].find(([fileSystem]) => !mounted.has(fileSystem))
    if (hidden === undefined || question.named !== undefined) return mounts
    throw hidden[1]
  } catch (error) {
    const [first] = unread.values()
    throw isFailure(error, 'SEVERAL_OPERATING_SYSTEMS') ? error : (first ?? error)
  }
}

async function readText(tree: GuestTree, path: string): Promise<string | undefined> {
  const content = await tree.readFile(path, MiB)
  return content && Buffer.from(content).toString()
}
