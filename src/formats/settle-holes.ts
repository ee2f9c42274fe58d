import { MiB } from '../base/units.ts'
import { UNIT } from './disk-map.ts'
import type { DataRun, ReadContent, TreeFile } from './tree-archive.ts'
import { isZero } from './zero-units.ts'

/** Zeros shorter than this are data: an archive with few holes can be read by more programs. */
const HOLE = MiB
const PIECE = 16 * UNIT

/**
 * The same file with its holes where its content has long runs of zeros, and nowhere else. Where a
 * file system has holes depends on how a file was written and copied, and not every way into a guest
 * can tell; so archives of one guest are the same whichever way was taken. Holes that are known cost
 * nothing.
 */
export async function settleHoles(file: TreeFile, read: ReadContent): Promise<TreeFile> {
  const { size } = file
  if (size < HOLE) return { ...file, data: size > 0 ? [{ offset: 0, length: size }] : [] }
  const data: DataRun[] = []
  const add = (from: number, to: number) => {
    if (to > from) data.push({ offset: from, length: to - from })
  }
  let start = 0
  let zerosFrom = 0
  for await (const unit of dataUnits(file, read)) {
    if (unit - zerosFrom >= HOLE) {
      add(start, zerosFrom)
      start = unit
    }
    zerosFrom = Math.min(unit + UNIT, size)
  }
  add(start, size - zerosFrom >= HOLE ? zerosFrom : size)
  return { ...file, data }
}

/** Where units of the file start that hold anything but zeros, in order; some may come twice. */
async function* dataUnits({ size, data }: TreeFile, read: ReadContent): AsyncGenerator<number> {
  for (const run of data) {
    const end = Math.min(Math.ceil((run.offset + run.length) / UNIT) * UNIT, size)
    for (let at = Math.floor(run.offset / UNIT) * UNIT; at < end; at += PIECE) {
      const { buffer, byteOffset, length } = await read(at, Math.min(PIECE, end - at))
      const bytes = Buffer.from(buffer, byteOffset, length)
      for (let unit = 0; unit < bytes.length; unit += UNIT)
        if (!isZero(bytes, unit, Math.min(unit + UNIT, bytes.length))) yield at + unit
    }
  }
}
