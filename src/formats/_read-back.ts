/** What a stream has passed and put aside, read back once its meaning is known. */
import { MiB } from '../base/units.ts'
import type { Source } from '../bytes/source.ts'
import { type ExtentTable, ExtentTableBuilder } from './extent-table.ts'
import { parseSource } from './_parse-source.ts'
import type { DiskParser, Extent, Limits } from './parser.ts'
import type { Spool } from './_spool.ts'

/** What is read back from the spool at once. */
const READ_BACK = 1 * MiB

/**
 * Writes the first `length` bytes of an extent as they were put aside. False when they were not: they
 * went to another extent, and so far nothing is written that was not put aside.
 */
export async function writeBack(
  spool: Spool,
  { guest, host }: Extent,
  length: number,
  sink: { write(guest: number, bytes: Uint8Array): void | Promise<void> },
): Promise<boolean> {
  for (let done = 0; done < length;) {
    const bytes = await spool.read(host + done, Math.min(READ_BACK, length - done))
    if (bytes === undefined) return false
    await sink.write(guest + done, bytes)
    done += bytes.length
  }
  return true
}

/** The extents of a file but for the first `skipped` ones, found by going through its tables once more. */
export async function parseAgain(
  parser: DiskParser,
  { size, read }: Pick<Source, 'size' | 'read'>,
  { limits, skipped }: { readonly limits: Limits; readonly skipped: number },
): Promise<ExtentTable> {
  const builder = new ExtentTableBuilder()
  let index = 0
  const source: Source = { name: 'spool', size, read, [Symbol.asyncDispose]: async () => {} }
  const { disk } = await parseSource(parser, source, {
    limits,
    onExtent: (extent) => {
      if (index++ >= skipped) builder.add(extent)
    },
  })
  return builder.toTable(disk?.virtualSize ?? 0, size)
}
