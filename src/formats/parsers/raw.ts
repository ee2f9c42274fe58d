import { SECTOR } from '../../base/units.ts'
import type { DiskParser, Parse, Parsing } from '../parser.ts'

/**
 * A raw disk is its own content: one extent, open-ended until the end of the file is known. A disk is
 * whole sectors, so what is missing of the last one reads as zeros.
 */
export const rawParser: DiskParser = {
  name: 'raw',
  summary: 'The bytes of the disk, one after the other',
  parse: parseRaw,
}

function* parseRaw(parsing: Parsing): Parse {
  if (parsing.fileSize === 0) parsing.stop('EMPTY', { at: 0, found: 'a file of 0 bytes' })
  parsing.claim(0, Infinity, 'disk', 0)
  parsing.announce({ kind: 'data', guest: 0, host: 0, length: Infinity })
  const last = yield { at: -1, length: 1, name: 'last byte of the disk' }
  const size = parsing.fileSize ?? last.start + 1
  const { virtualSize: limit } = parsing.limits
  if (size > limit)
    parsing.stop('SIZE_LIMIT', { found: `${size} bytes`, expected: `at most ${limit}` })
  const virtualSize = Math.ceil(size / SECTOR) * SECTOR
  if (virtualSize !== size)
    parsing.note('NOT_PADDED', { at: size, found: `${size} bytes`, expected: `${virtualSize}` })
  return { virtualSize }
}
