import { SECTOR } from '../../base/units.ts'
import { createHash } from 'node:crypto'
import type { Content } from '../../bytes/piece.ts'
import { type OvfProfile, ovfDescriptor } from '../ovf-machine.ts'
import { bytesContent, joinedContent, roundUp, zerosContent } from '../_segments.ts'
import { TAR_END, TAR_RECORD, tarHeader } from '../tar-header.ts'
import { UNIT } from '../disk-map.ts'
import type { ViewFormat, ViewInput } from '../view.ts'
import { vmdkStream } from './vmdk-stream.ts'

const format = {
  mediaType: 'application/ovf',
  needs: 'deflate',
  smallestOf: 'deflate-wide',
  usesVmdkDigest: true,
  version: 1,
} as const

/** For VMware: SCSI disk, virtual hardware 13 (vSphere 6.5 and later). */
export const ova: ViewFormat = {
  ...format,
  name: 'ova',
  summary: 'vSphere and other VMware products: OVF descriptor and streamOptimized VMDK',
  endings: ['ova'],
  make: (input) => ovaContent(input, 'vmware'),
}

/** For VirtualBox: SATA disk. */
export const ovaVirtualbox: ViewFormat = {
  ...format,
  name: 'ova-virtualbox',
  summary: 'VirtualBox: OVF descriptor and streamOptimized VMDK',
  endings: ['ova'],
  make: (input) => ovaContent(input, 'virtualbox'),
}

const DESCRIPTOR = 'image.ovf'
const MANIFEST = 'image.mf'
const DISK = 'disk.vmdk'

/**
 * A tar archive: the descriptor, the manifest if the digest of the disk is known (the format leaves it
 * to the maker), the disk.
 * Source: DMTF, DSP0243, "Open Virtualization Format", 6.4.
 */
function ovaContent(input: ViewInput, profile: OvfProfile): Content {
  const { map, identity, vmdkDigest } = input
  const disk = vmdkStream.make(input)
  const descriptor = Buffer.from(
    ovfDescriptor({
      profile,
      identity,
      disk: {
        name: DISK,
        fileSize: disk.length,
        size: map.size,
        populatedSize: Math.min(map.dataUnits * UNIT, map.size),
      },
    }),
  )
  const files = joinedContent(
    tarFile(DESCRIPTOR, bytesContent(descriptor)),
    ...(vmdkDigest === undefined
      ? []
      : [tarFile(MANIFEST, bytesContent(manifestOf(descriptor, vmdkDigest)))]),
    tarFile(DISK, disk),
  )
  const length = roundUp(files.length + TAR_END, TAR_RECORD)
  return joinedContent(files, zerosContent(length - files.length))
}

function manifestOf(descriptor: Buffer, vmdkDigest: string): Buffer {
  const digest = createHash('sha256').update(descriptor).digest('hex')
  return Buffer.from(`SHA256(${DESCRIPTOR})= ${digest}\nSHA256(${DISK})= ${vmdkDigest}\n`)
}

function tarFile(name: string, content: Content): Content {
  const header = tarHeader({ name, size: content.length, type: '0', magic: 'ustar\x0000' })
  const padding = roundUp(content.length, SECTOR) - content.length
  return joinedContent(bytesContent(header), content, zerosContent(padding))
}
