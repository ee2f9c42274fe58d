import { Failure } from '../base/failure.ts'
import { runProcess, runTool } from '../base/process.ts'
import { tellParent } from './_child-calls.ts'

/** A file system of an image and where it belongs in the guest. */
export interface Mount {
  /** Where in the guest: `/`, `/boot`. Parents come before children. */
  at: string
  /** Bytes into the image file. */
  offset: number
  size: number
  type: string
  /** Further mount options: `subvol=@`. */
  options?: string
}

/** Mounts a part of the image file by a loop device that clears itself with the last unmount. */
export async function mountImage(
  image: string,
  mount: Mount,
  at: string,
  readOnly: boolean,
): Promise<void> {
  const noReplay: Readonly<Record<string, string>> = {
    ext4: ',noload',
    ext3: ',noload',
    xfs: ',norecovery',
  }
  const access = readOnly ? `ro${noReplay[mount.type] ?? ''}` : 'rw,discard'
  const place = `loop,offset=${mount.offset},sizelimit=${mount.size}`
  const extra = mount.options === undefined ? '' : `,${mount.options}`
  const trimmed = mount.type === 'vfat' ? access.replace(',discard', '') : access
  const result = await runProcess([
    'mount',
    '-t',
    mount.type,
    '-o',
    `${trimmed},${place},nodev${extra}`,
    image,
    at,
  ])
  if (result.code === 0) return
  const reason = result.stderr.toString().trim().split('\n')[0] ?? ''
  // A kernel without FAT: nothing but a boot loader has business on the ESP, and who tries is refused.
  if (mount.type === 'vfat' && reason.includes('unknown filesystem type')) {
    await runTool(['mount', '-t', 'tmpfs', '-o', 'ro,nr_inodes=1', 'tmpfs', at])
    tellParent('unmountable', { at: mount.at, type: mount.type })
    return
  }
  throw new Failure(
    'FILE_SYSTEM_UNSUPPORTED',
    `the ${mount.type} file system at byte ${mount.offset} cannot be mounted on this host: ${reason}`,
  )
}
