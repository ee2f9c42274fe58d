import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { readInto, type Source } from '../bytes/source.ts'
import { ContentDigest } from './content-digest.ts'
import { type DiskMap, UNIT } from './disk-map.ts'

/** Bytes of a read, and how many of them are read or digested at a time. */
const PART = MiB
const PARTS = 4

/**
 * The digest of all that a disk holds (see `content-digest.ts`), read once; digests are computed beside
 * this thread. For whatever must change with every byte of the disk: a strong ETag, the name under
 * which something derived from it is kept. Tells progress as bytes of data, under the name `digest`.
 *
 * Fails with INTERRUPTED, and with what reading fails with.
 */
export async function readContentDigest(
  disk: Source,
  map: DiskMap,
  { signal, progress }: Pick<Context, 'signal' | 'progress'>,
): Promise<string> {
  const digest = new ContentDigest()
  const total = map.dataUnits * map.unit
  let done = 0
  const parts = partsOf(map)
  const work = async () => {
    const buffer = Buffer.allocUnsafeSlow(PART)
    for (const { offset, length } of parts) {
      if (signal.aborted) throw new Failure('INTERRUPTED', `${disk.name} was not read to its end`)
      const bytes = buffer.subarray(0, length)
      await readInto(disk, bytes, offset)
      await addUnits(digest, offset / UNIT, bytes)
      done += length
      progress({ kind: 'bytes', name: 'digest', done: Math.min(done, total), total })
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: PARTS }, work))
  for (const one of ended) if (one.status === 'rejected') throw one.reason
  return await digest.end(map, async (unit) => {
    const offset = unit * UNIT
    return await disk.read(offset, Math.min(UNIT, disk.size - offset))
  })
}

/** The data of a disk, in whole units; shared by those who work on it. */
function* partsOf(map: DiskMap): Generator<{ offset: number; length: number }> {
  for (const { offset, length } of map.extents())
    for (let done = 0; done < length; done += PART)
      yield { offset: offset + done, length: Math.min(PART, length - done) }
}

async function addUnits(
  digest: ContentDigest,
  first: number,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
  const units = Array.from({ length: Math.ceil(bytes.length / UNIT) }, (_, unit) =>
    crypto.subtle.digest('SHA-256', bytes.subarray(unit * UNIT, (unit + 1) * UNIT)),
  )
  for (const [unit, sum] of (await Promise.all(units)).entries())
    digest.addDigest(first + unit, new Uint8Array(sum))
}
