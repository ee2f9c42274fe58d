import { SECTOR } from '../base/units.ts'
import type { Fields } from '../bytes/fields.ts'
import type { Source } from '../bytes/source.ts'
import type { DataRun, TreeFile } from './tree-archive.ts'

const MAX_RUNS = 1_000_000

/**
 * A file with holes: its content starts with lines of numbers, how many runs there are and offset
 * and length of each, padded to whole blocks. Fails with IMAGE_UNSAFE.
 * Source: GNU tar, "PAX Format, Version 1.0".
 */
export async function readSparseFile(
  source: Source,
  header: Fields,
  { content, stored, size }: { content: number; stored: number; size: number },
): Promise<{ node: TreeFile; places: number[] }> {
  const fault = (what: string) => header.fault('IMAGE_UNSAFE', SECTOR, what)
  const lines = numbersFrom(source, content, stored)
  const next = async () => {
    const { value } = await lines.next()
    if (value === undefined) throw fault('a list of data that is none')
    return value
  }
  const { number: count, end: counted } = await next()
  if (count > MAX_RUNS) throw fault(`${count} runs of data`)
  const data: DataRun[] = []
  const places: number[] = []
  let end = 0
  let used = 0
  let listed = counted
  for (let index = 0; index < count; index++) {
    const { number: offset } = await next()
    const { number: length, end: behind } = await next()
    listed = behind
    const follows = offset >= end && (length === 0 || used % SECTOR === 0)
    if (!follows || offset + length > size)
      throw fault(`data from ${offset} on that does not follow what is before it`)
    end = offset + length
    if (length === 0) continue
    data.push({ offset, length })
    places.push(used)
    used += length
  }
  const first = Math.ceil(listed / SECTOR) * SECTOR
  if (first + used > stored) throw fault(`${stored} bytes, too few for its data`)
  const node: TreeFile = { type: 'file', size, data }
  return { node, places: places.map((place) => content + first + place) }
}

/** Numbers, one a line; `end` counts the bytes up to behind the line. */
async function* numbersFrom(source: Source, start: number, length: number) {
  let line = ''
  for (let at = 0; at < length; at += SECTOR) {
    const bytes = await source.read(start + at, Math.min(SECTOR, length - at))
    for (const [index, byte] of bytes.entries()) {
      if (byte !== 0x0a) line += String.fromCharCode(byte)
      else {
        if (!/^\d{1,15}$/.test(line)) return
        yield { number: Number(line), end: at + index + 1 }
        line = ''
      }
      if (line.length > 15) return
    }
  }
}
