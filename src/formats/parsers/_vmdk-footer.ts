import { SECTOR } from '../../base/units.ts'
import type { Fields } from '../../bytes/fields.ts'
import type { Asking, Parsing } from '../parser.ts'
import { readVmdkHeader } from './_vmdk-header.ts'

const FOOTER = 3

export interface VmdkFooter {
  /** Where its marker stands: everything else is in front of it. */
  readonly start: number
  /** Where the directory is, and the byte that says so. */
  readonly directory: number
  readonly from: number
}

/**
 * Reads the footer of a disk whose header only says that there is one.
 *
 * | sectors from the end | what                                                                          |
 * | -------------------- | ----------------------------------------------------------------------------- |
 * | 3                    | marker: 1 sector follows (8 bytes; some write 0), zero (4), the type, 3 (4)    |
 * | 2                    | the header once more, with the place of the directory                         |
 * | 1                    | end marker: zeros                                                             |
 *
 * Source: VMware, Virtual Disk Format 5.0; QEMU, block/vmdk.c, which does not look at the first 8 bytes.
 */
export function* readVmdkFooter(parsing: Parsing, head: Fields): Asking<VmdkFooter> {
  const fields = yield { at: -3 * SECTOR, length: 3 * SECTOR, name: 'footer' }
  const { start } = fields
  if (start % SECTOR !== 0)
    parsing.stop('MISALIGNED', { at: start, expected: 'a footer of the last three sectors' })
  parsing.claim(start, 3 * SECTOR, 'footer', 56)
  const isFooter = fields.u64(0) <= 1n && fields.u32(8) === 0 && fields.u32(12) === FOOTER
  if (!isFooter || fields.slice(16, SECTOR - 16).some((byte) => byte !== 0))
    parsing.stop('HEADER_INVALID', {
      at: start,
      expected: 'the marker of a footer, which is to say where the directory is',
      found: Buffer.from(fields.slice(0, 16)).toString('hex'),
    })
  const footer = fields.part('footer', SECTOR, SECTOR)
  const directory = compareFooter(parsing, head, footer)
  if (fields.slice(2 * SECTOR, SECTOR).some((byte) => byte !== 0))
    parsing.note('COPIES_DIFFER', { at: start + 2 * SECTOR, expected: 'the end marker' })
  const from = footer.start + 56
  if (directory === undefined)
    parsing.stop('HEADER_INVALID', {
      at: from,
      expected: 'the place of the directory',
      found: 'that a footer tells it',
    })
  return { start, directory, from }
}

/** Checks that a footer is the header, but for the place of the directory, which it gives if it says one. */
export function compareFooter(parsing: Parsing, head: Fields, footer: Fields): number | undefined {
  const { directory } = readVmdkHeader(parsing, footer)
  const differs = (byte: number, at: number) => byte !== head.u8(at) && (at < 56 || at >= 64)
  const difference = footer.bytes.findIndex(differs)
  if (difference >= 0)
    parsing.note('COPIES_DIFFER', {
      at: footer.start + difference,
      expected: `what stands at byte ${difference}, in the header`,
    })
  return directory
}
