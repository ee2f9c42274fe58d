/**
 * A golden image: the guest's disk, the map of what it holds, and a name for that. Views are computed
 * from it. `adoptImage` makes one of an image file of any format without copying anything; images
 * that are written by Ingot have their map already (`sparse-writer.ts`).
 */
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { type FileCalls, loadFileCalls } from '../bytes/file-calls.ts'
import type { Source } from '../bytes/source.ts'
import { HEAD, HeadSums, nameOfDisk } from './_disk-name.ts'
import { type DiskPart, DiskScan } from './_disk-scan.ts'
import { type DiskMap, DiskMapBuilder, UNIT } from './disk-map.ts'
import type { Disk, Run } from './open-disk.ts'

export interface Golden {
  readonly disk: Source
  readonly map: DiskMap
  /**
   * Names the content: hexadecimal SHA-256 of the map and of sums over the first sector of each unit.
   * The same disk has the same name, in whatever format it stands. It tells disks apart; it proves
   * nothing about what stands further inside of units (that is what `content-digest.ts` is for).
   */
  readonly identity: string
}

/** What is unpacked at once. */
const READ = 4 * MiB
/** The kernel is told of this much before it is read. */
const AHEAD = 64 * MiB

/** Whoever begins before all of a disk was looked at. */
export interface ScanListener {
  /** What the disk holds unless some of that turns out to be zeros. Told once, before all else. */
  guess(map: DiskMap): void
  /** Everything that was guessed of the disk below this byte is right. */
  seen(end: number): void
}

/**
 * Makes a golden of the disk inside an image: what the image's tables (and the holes of its file) do not
 * rule out is looked at, and what is all zeros is none of it. The disk stays the caller's. The listener
 * hears how far it is; of a disk that has to be unpacked it does not.
 *
 * Fails with INTERRUPTED, IMAGE_TRUNCATED, FILE_UNREADABLE, IMAGE_UNSAFE (a compressed part is damaged).
 */
export async function adoptDisk(
  disk: Disk,
  file: Source,
  { signal }: Pick<Context, 'signal'>,
  listener?: ScanListener,
): Promise<Golden> {
  const calls = await loadFileCalls()
  const from = { descriptor: file.file?.descriptor ?? -1, name: file.name }
  const scan = new DiskScan(from, signal, (end) => listener?.seen(end))
  const packed: Run[] = []
  try {
    if (file.file === undefined)
      for (const extent of disk.extents()) packed.push({ kind: 'packed', ...extent })
    else {
      listener?.guess(guessMap(disk, file.file, calls))
      for (const part of partsOf(disk, file.file, calls, packed)) {
        calls?.willRead(from.descriptor, part.host, part.length)
        await scan.look(part)
      }
    }
    for (const { offset, length } of packed)
      for (let at = offset; at < offset + length; at += READ) {
        if (signal.aborted) throw new Failure('INTERRUPTED', 'interrupted')
        scan.add(await disk.read(at, Math.min(READ, offset + length - at)), at)
      }
    const { map, sums } = await scan.end(disk.size)
    return { disk, map, identity: nameOfDisk(map, sums) }
  } finally {
    await scan.settle()
  }
}

/** The golden of a disk whose map is known. Fails as reading fails. */
export async function goldenOf(disk: Source, map: DiskMap): Promise<Golden> {
  const sums = new HeadSums()
  for (const { offset, length } of map.extents())
    for (let at = offset; at < offset + length; at += UNIT)
      sums.add(asBuffer(await disk.read(at, Math.min(HEAD, disk.size - at))), at)
  return { disk, map, identity: nameOfDisk(map, sums) }
}

/** The parts of a disk that stand in its file as they are; others go to `packed`. */
function* partsOf(
  disk: Disk,
  { descriptor, offset: start }: { descriptor: number; offset: number },
  calls: FileCalls | undefined,
  packed: Run[],
): Generator<DiskPart> {
  for (const run of disk.runs(0, disk.size)) {
    if (run.kind === 'packed') packed.push(run)
    if (run.kind !== 'data') continue
    const host = start + run.host
    const end = host + run.length
    for (let at = host; at < end;) {
      const data = calls ? calls.nextData(descriptor, at) : at
      if (data === undefined || data >= end) break
      const hole = Math.min(calls ? calls.nextHole(descriptor, data) : end, end)
      for (at = data; at < hole; at += AHEAD) {
        const length = Math.min(AHEAD, hole - at)
        yield { guest: run.offset + at - host, host: at, length }
      }
      at = hole
    }
  }
}

/** What the disk holds if everything in it is data that is no hole. */
function guessMap(
  disk: Disk,
  file: { descriptor: number; offset: number },
  calls: FileCalls | undefined,
): DiskMap {
  const units = new DiskMapBuilder()
  for (const { guest, length } of partsOf(disk, file, calls, []))
    units.add(Math.floor(guest / UNIT), Math.ceil((guest + length) / UNIT))
  return units.toMap(disk.size)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
