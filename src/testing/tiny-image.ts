/**
 * Small disk images made by code, without root, mount or loop device: a partition table and an ext
 * file system with a minimal Debian-like guest, in which busybox makes commands run.
 */
import { chmod, cp, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../base/failure.ts'
import { findProgram, runTool } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import {
  layFiles,
  makeDirectories,
  makeExt,
  makeSparse,
  type TinyFile,
  type TinyFiles,
  withTree,
} from './ext-image.ts'
import { APPLETS, GUEST_FILES, OS_RELEASE } from './_tiny-guest.ts'

export interface TinyImageOptions {
  /** Size of the guest's disk. Default 48 MiB, of which few are written. */
  size?: number
  /** Default `gpt`. `none`: the file system fills the disk, device `/dev/sda`. */
  layout?: 'gpt' | 'mbr' | 'none'
  /** Default `ext4`. */
  fileSystem?: 'ext2' | 'ext3' | 'ext4'
  /** By absolute path; added to the guest's own files, or instead of them. `undefined` leaves one out. */
  files?: TinyFiles
  /** Default `raw`. */
  format?: 'raw' | 'qcow2'
  /** A second partition with a second guest (its `os-release` says Debian 11). */
  twoRoots?: boolean
  /** A second partition that the guest's fstab mounts at this path, with the files below it. */
  separate?: string
  /** More arguments for `mke2fs`: `['-O', '^64bit']`. */
  mkfs?: readonly string[]
  /** Lays more into the root's directory before the file system is made. */
  lay?: (tree: string) => Promise<void>
}

/** What `makeTinyImage` made. */
export interface TinyImage {
  path: string
  format: 'raw' | 'qcow2'
  /** Of each file system, in disk order. */
  fileSystems: readonly { device: string; offset: number; length: number; uuid: string }[]
}

const UUIDS = ['10000000-0000-4000-8000-000000000001', '10000000-0000-4000-8000-000000000002']
const OLD_RELEASE = OS_RELEASE.replaceAll('12', '11').replaceAll('bookworm', 'bullseye')

/**
 * Makes an image file at `path` with a guest in which `sh` and the usual tools run. Takes about a
 * quarter of a second. Fails with TOOL_MISSING when mke2fs, sfdisk or a static busybox is missing.
 */
export async function makeTinyImage(
  path: string,
  options: TinyImageOptions = {},
): Promise<TinyImage> {
  const { layout = 'gpt', format = 'raw', separate } = options
  const count = options.twoRoots || separate !== undefined ? 2 : 1
  const size = options.size ?? 48 * MiB
  const raw = `${path}.making`
  await makeSparse(raw, size)
  try {
    const places = layout === 'none' ? [{ offset: 0, length: size }] : split(size, count)
    if (layout !== 'none') await partition(raw, layout, places)
    for (const [index, place] of places.entries()) {
      const files = filesOf(index, options)
      await makeFileSystem(raw, place, UUIDS[index] ?? '', files, options)
    }
    if (format === 'qcow2') {
      await runTool(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, path])
    } else await rename(raw, path)
    return {
      path,
      format,
      fileSystems: places.map((place, index) => ({
        device: layout === 'none' ? '/dev/sda' : `/dev/sda${index + 1}`,
        ...place,
        uuid: UUIDS[index] ?? '',
      })),
    }
  } finally {
    await rm(raw, { force: true })
  }
}

/** Equal parts, whole MiB, with room for the table at both ends. */
function split(size: number, count: number): { offset: number; length: number }[] {
  const length = Math.floor((size / MiB - 2) / count) * MiB
  return Array.from({ length: count }, (_, index) => ({ offset: MiB + index * length, length }))
}

async function partition(
  path: string,
  layout: 'gpt' | 'mbr',
  places: readonly { offset: number; length: number }[],
): Promise<void> {
  const lines = places.map(
    ({ offset, length }) => `start=${offset / 512}, size=${length / 512}, type=linux`,
  )
  const label = layout === 'gpt' ? 'gpt' : 'dos'
  await runTool(['sfdisk', '--quiet', '--no-reread', '--no-tell-kernel', path], {
    input: `label: ${label}\nlabel-id: ${layout === 'gpt' ? UUIDS[0]?.replace('1', '2') : '0x12345678'}\n${lines.join('\n')}\n`,
  })
}

/** The files of the file system with this index, by their paths inside it. */
function filesOf(index: number, options: TinyImageOptions): Record<string, TinyFile | undefined> {
  const { separate, files = {} } = options
  if (separate === undefined) {
    const release = index === 1 ? { '/etc/os-release': OLD_RELEASE } : {}
    return { ...GUEST_FILES, ...files, ...release }
  }
  const all: Record<string, TinyFile | undefined> = {
    ...GUEST_FILES,
    '/etc/fstab': `UUID=${UUIDS[0]} / ext4 defaults 0 1\nUUID=${UUIDS[1]} ${separate} ext4 defaults 0 2\n`,
    ...files,
  }
  const below = Object.entries(all).filter(([path]) => path.startsWith(`${separate}/`))
  if (index === 1)
    return Object.fromEntries(below.map(([path, file]) => [path.slice(separate.length), file]))
  for (const [path] of below) delete all[path]
  return { ...all, [`${separate}/.keep`]: '' }
}

async function makeFileSystem(
  image: string,
  place: { offset: number; length: number },
  uuid: string,
  files: TinyFiles,
  { fileSystem, mkfs = [], lay }: TinyImageOptions,
): Promise<void> {
  await withTree(async (tree) => {
    const isRoot = files['/etc/os-release'] !== undefined
    if (isRoot) await layGuest(tree)
    await layFiles(tree, files)
    if (isRoot) await lay?.(tree)
    const more = ['-N', '2048', '-b', '4096', ...mkfs]
    await makeExt(image, place, tree, { fileSystem, uuid, mkfs: more })
  })
}

/** The directories of a guest and its commands. */
async function layGuest(tree: string): Promise<void> {
  const plain = ['dev', 'etc', 'home', 'mnt', 'opt', 'proc', 'run', 'srv', 'sys', 'usr/bin']
  const more = ['boot', 'usr/lib', 'usr/local/bin', 'usr/sbin', 'usr/share', 'var/lib', 'var/log']
  for (const directory of [...plain, ...more]) await makeDirectories(join(tree, directory))
  for (const [directory, mode] of [
    ['root', 0o700],
    ['tmp', 0o1777],
    ['var/tmp', 0o1777],
  ] as const) {
    await makeDirectories(join(tree, directory))
    await chmod(join(tree, directory), mode)
  }
  for (const name of ['bin', 'sbin', 'lib']) await symlink(`usr/${name}`, join(tree, name))
  const busybox = findProgram('busybox')
  if (busybox === undefined)
    throw new Failure('TOOL_MISSING', 'a tiny image needs busybox (Debian: busybox-static)')
  await cp(busybox, join(tree, 'usr/bin/busybox'), { dereference: true })
  await chmod(join(tree, 'usr/bin/busybox'), 0o755)
  for (const name of APPLETS) await symlink('busybox', join(tree, 'usr/bin', name))
}
