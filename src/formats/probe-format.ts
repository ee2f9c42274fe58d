import { KiB } from '../base/units.ts'
import { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'

/** Latin-1 bytes that tell a format, at an offset from the start, or if negative from the end. */
interface Signature {
  readonly format: string
  readonly magic: string
  readonly at: number
}

/** In the order they are asked; what is told by few bytes stands last. */
const SIGNATURES: readonly Signature[] = [
  { format: 'qcow2', magic: 'QFI\xfb\0\0\0\x02', at: 0 },
  { format: 'qcow2', magic: 'QFI\xfb\0\0\0\x03', at: 0 },
  { format: 'qcow', magic: 'QFI\xfb', at: 0 },
  { format: 'qed', magic: 'QED\0', at: 0 },
  { format: 'vmdk', magic: 'KDMV', at: 0 },
  { format: 'vmdk', magic: 'COWD', at: 0 },
  { format: 'vmdk', magic: '\xbe\xba\xfe\xca\0\0\0\0', at: 0 },
  { format: 'vmdk', magic: '# Disk DescriptorFile', at: 0 },
  { format: 'vhdx', magic: 'vhdxfile', at: 0 },
  { format: 'vhd', magic: 'conectix', at: 0 },
  { format: 'vhd', magic: 'conectix', at: -512 },
  { format: 'vdi', magic: '\x7f\x10\xda\xbe', at: 64 },
  { format: 'parallels', magic: 'WithoutFreeSpace', at: 0 },
  { format: 'parallels', magic: 'WithouFreSpacExt', at: 0 },
  { format: 'luks', magic: 'LUKS\xba\xbe', at: 0 },
  { format: 'bochs', magic: 'Bochs Virtual HD Image', at: 0 },
  { format: 'cloop', magic: '#!/bin/sh\n#V2.0 Format', at: 0 },
  { format: 'dmg', magic: 'koly', at: -512 },
  { format: 'xz', magic: '\xfd7zXZ\0', at: 0 },
  { format: 'zstd', magic: '\x28\xb5\x2f\xfd', at: 0 },
  { format: '7z', magic: '7z\xbc\xaf\x27\x1c', at: 0 },
  { format: 'zip', magic: 'PK\x03\x04', at: 0 },
  { format: 'bzip2', magic: 'BZh', at: 0 },
  { format: 'gzip', magic: '\x1f\x8b\x08', at: 0 },
  { format: 'tar', magic: 'ustar', at: 257 },
  { format: 'iso', magic: 'CD001', at: 32 * KiB + 1 },
  { format: 'squashfs', magic: 'hsqs', at: 0 },
]

/** A format that bytes tell by themselves (`qcow2`, `vmdk`, `gzip`, …); undefined for all others. */
export interface ProbedFormat {
  readonly format: string
  /** The byte where its signature stands. */
  readonly offset: number
}

/**
 * A cheap look at the start and the end of a file. Raw disks have no signature: they are what
 * nothing here matches.
 */
export async function probeFormat(file: Source): Promise<ProbedFormat | undefined> {
  const read = async (start: number, length: number) =>
    new Fields(await file.read(start, length), { name: file.name, start })
  const head = await read(0, Math.min(file.size, 33 * KiB))
  const tailLength = Math.min(file.size, 512)
  const tail = await read(file.size - tailLength, tailLength)
  for (const { format, magic, at } of SIGNATURES) {
    const [fields, inside] = at < 0 ? [tail, tailLength + at] : [head, at]
    if (inside >= 0 && fields.holds(inside, magic)) return { format, offset: fields.start + inside }
  }
  return undefined
}
