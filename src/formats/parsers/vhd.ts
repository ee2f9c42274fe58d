/**
 * VHD: a fixed disk is the disk and a footer; a dynamic one a copy of the footer, a header, a table of
 * blocks, the blocks, each behind a bitmap of its sectors, and the footer. A fixed disk is known by its
 * last 512 bytes only (511 in files of Virtual PC before 2004), which a guest could have written: who
 * calls this has decided that it is one.
 *
 * Source: Microsoft, Virtual Hard Disk Image Format Specification 1.0.
 */
import { SECTOR } from '../../base/units.ts'
import { Fields } from '../../bytes/fields.ts'
import type { Asking, DiskParser, Parse, Parsing } from '../parser.ts'
import { readVhdBlocks } from './_vhd-blocks.ts'
import { COOKIE, readVhdFooter } from './_vhd-footer.ts'
import { HEADER_SIZE, readVhdHeader } from './_vhd-header.ts'

export const vhdParser: DiskParser = {
  name: 'vhd',
  summary: 'Virtual PC, Hyper-V, Azure and Xen: fixed and dynamic',
  *parse(parsing) {
    const head = yield { at: 0, length: SECTOR, name: 'first sector', order: 'big' }
    return head.holds(0, COOKIE) ? yield* parseDynamic(parsing, head) : yield* parseFixed(parsing)
  },
}

function* parseFixed(parsing: Parsing): Parse {
  parsing.claim(0, Infinity, 'disk', 0)
  parsing.announce({ kind: 'data', guest: 0, length: Infinity, host: 0 })
  const footer = yield* askFooter()
  const { type, size } = readVhdFooter(parsing, footer)
  if (type !== 'fixed')
    parsing.stop('COPIES_DIFFER', {
      at: 0,
      expected: 'the copy of the footer that a dynamic disk begins with',
      found: 'something else',
    })
  if (size !== footer.start)
    parsing.note(size > footer.start ? 'TRUNCATED' : 'SIZE_MISMATCH', {
      at: footer.start + 48,
      expected: `${footer.start} bytes, as many as stand before the footer`,
      found: `${size}`,
    })
  return { virtualSize: size }
}

function* parseDynamic(parsing: Parsing, copy: Fields): Parse {
  const { type, headerOffset, size } = readVhdFooter(parsing, copy)
  if (type !== 'dynamic')
    parsing.stop('HEADER_INVALID', {
      at: 60,
      expected: 'type 3 (dynamic)',
      found: `a ${type} disk`,
    })
  parsing.claim(0, SECTOR, 'copy of the footer', 0)
  if (!parsing.claim(headerOffset, HEADER_SIZE, 'dynamic header', 16)) return { virtualSize: size }
  const header = readVhdHeader(
    parsing,
    yield { at: headerOffset, length: HEADER_SIZE, name: 'dynamic header', order: 'big' },
    size,
  )
  yield* readVhdBlocks(parsing, header, size)
  const footer = yield* askFooter()
  compareFooters(parsing, copy, footer)
  const length = (parsing.fileSize ?? footer.start + SECTOR) - footer.start
  parsing.claim(footer.start, length, 'footer', footer.start)
  return { virtualSize: size }
}

/** The footer at the end of the file, filled up to 512 bytes if it is one of 511. */
function* askFooter(): Asking<Fields> {
  const tail = yield { at: -SECTOR, length: SECTOR, name: 'footer', order: 'big' }
  if (tail.holds(0, COOKIE) || !tail.holds(1, COOKIE)) return tail
  const bytes = Buffer.concat([tail.slice(1, SECTOR - 1), Buffer.alloc(1)])
  return new Fields(bytes, { name: tail.name, start: tail.start + 1, order: 'big' })
}

/** Some programs read the copy, others the footer: they must be the same. */
function compareFooters(parsing: Parsing, copy: Fields, footer: Fields): void {
  if (!footer.holds(0, COOKIE)) {
    parsing.note('TRUNCATED', {
      at: footer.start,
      expected: `a footer (${COOKIE}) at the end of the file`,
      found: JSON.stringify(footer.chars(0, COOKIE.length)),
    })
    return
  }
  const difference = copy.bytes.findIndex((byte, at) => byte !== footer.u8(at))
  if (difference < 0) return
  parsing.note('COPIES_DIFFER', {
    at: footer.start + difference,
    expected: `0x${copy.u8(difference).toString(16)}, as at byte ${difference} in the copy`,
    found: `0x${footer.u8(difference).toString(16)}`,
  })
}
