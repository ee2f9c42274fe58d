/** The root file system of a disk, out of a directory tree: no device, no mount, no root. */
import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Context } from '../../base/context.ts'
import { Failure, isFailure } from '../../base/failure.ts'
import { runTool } from '../../base/process.ts'
import { formatSize, KiB, MiB } from '../../base/units.ts'
import { plainEnvironment } from '../../remotes/plain-environment.ts'
import type { DiskIdentity } from './disk-identity.ts'
import { settleExt4Times } from './ext4-times.ts'
import { fillByAppliance } from './_fill-by-appliance.ts'
import type { FileSystemType } from './tree-builder.ts'

export interface RootFileSystem {
  type: FileSystemType
  /** The directory. */
  tree: string
  /** The disk image, and where in it the file system goes; there are zeros. */
  disk: string
  offset: number
  size: number
  identity: DiskIdentity
  /** When it was made. */
  time: Date
  /** Words in front of what reads the tree. */
  launcher: readonly string[]
  /** A directory for what is needed on the way. */
  scratch: string
}

const BLOCK_SIZE = 4 * KiB

/**
 * Everything that e2fsprogs would take from this host's own configuration, which is not the same
 * everywhere. The features are those of Debian 12, which every GRUB in use can read.
 */
const MKE2FS_CONFIG = `[defaults]
blocksize = ${BLOCK_SIZE}
inode_size = 256
inode_ratio = 16384
reserved_ratio = 5.0
default_mntopts = acl,user_xattr
enable_periodic_fsck = 0
hash_alg = half_md4
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
[fs_types]
ext4 = {
  features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
}
small = {
}
big = {
}
huge = {
}
`

/**
 * Writes the file system into its place on the disk. Of the same tree, ext4 is the same bytes always.
 * The others are not: mkfs.btrfs names devices at random, and xfs is filled by a kernel, which goes
 * by its clock.
 * Fails with BUILD_FAILED (the tree is larger than its place), NO_SPACE, TOOL_MISSING, INTERRUPTED.
 */
export async function writeRootFileSystem(root: RootFileSystem, context: Context): Promise<void> {
  try {
    await WRITERS[root.type](root, context)
  } catch (error) {
    throw toRoomFailure(error, root)
  }
}

type Writer = (root: RootFileSystem, context: Context) => Promise<void>

const WRITERS: Readonly<Record<FileSystemType, Writer>> = {
  ext4: async (root, context) => {
    const config = join(root.scratch, 'mke2fs.conf')
    await writeFile(config, MKE2FS_CONFIG)
    const { rootUuid, hashSeed } = root.identity
    const extended = [
      `offset=${root.offset}`,
      `hash_seed=${hashSeed}`,
      'root_owner=0:0',
      'lazy_itable_init=1',
      'assume_storage_prezeroed=1',
      'nodiscard',
    ]
    const options = ['-q', '-F', '-t', 'ext4', '-U', rootUuid, '-E', extended.join(',')]
    const size = `${root.size / KiB}k`
    await runTool([...root.launcher, 'mke2fs', ...options, '-d', root.tree, root.disk, size], {
      // LC_ALL: files are taken in the order of their names.
      env: {
        ...plainEnvironment,
        LC_ALL: 'C',
        MKE2FS_CONFIG: config,
        E2FSPROGS_FAKE_TIME: String(root.time.getTime() / 1000),
      },
      signal: context.signal,
    })
    await settleExt4Times(root.disk, root.offset)
  },

  btrfs: async (root, context) => {
    await throughFile(root, context, async (file) => {
      const options = ['-q', '-f', '-U', root.identity.rootUuid, '--rootdir', root.tree]
      await runTool([...root.launcher, 'mkfs.btrfs', ...options, file], { signal: context.signal })
    })
  },

  // mkfs.xfs can fill a file system, but with neither times nor capabilities nor hard links.
  xfs: async (root, context) => {
    await throughFile(root, context, (file) => fillByAppliance('xfs', file, root, context))
  },
}

/** For tools that cannot write into the middle of a disk: a file of their own, then poured over. */
async function throughFile(
  root: RootFileSystem,
  context: Context,
  make: (file: string) => Promise<void>,
): Promise<void> {
  const file = join(root.scratch, 'root.raw')
  await writeFile(file, '')
  await truncate(file, root.size)
  await make(file)
  const place = [`seek=${root.offset}`, 'oflag=seek_bytes', 'conv=notrunc,sparse']
  await runTool(['dd', `if=${file}`, `of=${root.disk}`, `bs=${MiB}`, 'status=none', ...place], {
    signal: context.signal,
  })
  await rm(file)
}

function toRoomFailure(error: unknown, root: RootFileSystem): unknown {
  if (!isFailure(error, 'COMMAND_FAILED')) return error
  const { output = '' } = error.details as { output?: string }
  if (
    /Could not allocate (block|inode)|ENOSPC|not enough free space|unable to zero|no free space/i.test(
      output,
    )
  )
    return new Failure(
      'BUILD_FAILED',
      `the system does not fit into a root file system of ${formatSize(root.size)}`,
      { fix: 'Make the disk larger: disk.size in the recipe, or --size.', cause: error },
    )
  if (/No space left on device/.test(output))
    return new Failure('NO_SPACE', `no space left for ${root.disk}`, { cause: error })
  return error
}
