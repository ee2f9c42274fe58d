import { MiB, TiB } from '../../base/units.ts'
import { bytesContent, diskContent, joinedContent, roundUp } from '../_segments.ts'
import { vhdFooter } from '../_vhd-footer.ts'
import type { ViewFormat } from '../view.ts'

/**
 * The disk, and a footer behind it. Azure wants whole MiB, so zeros fill the last one, and count as
 * part of the disk: its size is the file's without the footer.
 */
export const vhdFixed: ViewFormat = {
  name: 'vhd-fixed',
  summary: 'Azure: VHD of fixed size, in whole MiB',
  endings: ['vhd'],
  mediaType: 'application/x-vhd-disk',
  needs: 'map',
  version: 1,
  // Source: Azure, direct upload of managed disks.
  maxVirtualSize: 32 * TiB,
  make: ({ map, identity }) => {
    const size = roundUp(map.size, MiB)
    return joinedContent(
      diskContent(map, 0, size),
      bytesContent(vhdFooter({ kind: 'fixed', size, identity })),
    )
  },
}
