/**
 * A golden image: the guest's disk, the map of what it holds, and a name for that. Views are computed
 * from it. `adoptImage` makes one of an image file of any format without copying anything; images
 * that are written by Ingot have their map already (`sparse-writer.ts`).
 */
import { availableParallelism } from 'node:os'
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { type FileCalls, loadFileCalls } from '../bytes/file-calls.ts'
import type { Source } from '../bytes/source.ts'
import type { ScanJob } from './_disk-thread.ts'
import { DiskThreads } from './_disk-threads.ts'
import { HEAD, HeadSums, nameOfDisk } from './_disk-name.ts'
import { type DiskMap, DiskMapBuilder, UNIT } from './disk-map.ts'
import type { Disk, Run } from './open-disk.ts'
import { splitZeros } from './zero-units.ts'

export interface Golden {
  readonly disk: Source
  readonly map: DiskMap
  /**
   * Names the content: hexadecimal SHA-256 of the map and of sums over the first 2 KiB of each unit.
   * The same disk has the same name, in whatever format it stands. It tells disks apart; it proves
   * nothing about what stands further inside of units (that is what `content-digest.ts` is for).
   */
  readonly identity: string
}

/** A job of looking: this much of the disk. */
const SCAN_BYTES = 64 * MiB
const SCAN_PARTS = 4096
/** What is unpacked at once. */
const READ = 4 * MiB

/**
 * Makes a golden of the disk inside an image: what the image's tables (and the holes of its file) do not
 * rule out is looked at, by threads, and what is all zeros is none of it. The disk stays the
 * caller's. `threads`: of the caller's; else some are started.
 *
 * Fails with INTERRUPTED, IMAGE_TRUNCATED, FILE_UNREADABLE, IMAGE_UNSAFE (a compressed part is damaged).
 */
export async function adoptDisk(
  disk: Disk,
  file: Source,
  context: Pick<Context, 'signal'>,
  threads?: DiskThreads,
): Promise<Golden> {
  const calls = await loadFileCalls()
  const units = new DiskMapBuilder()
  const sums = new HeadSums()
  const packed: Run[] = []
  if (file.file === undefined) packed.push({ kind: 'packed', offset: 0, length: disk.size })
  else {
    const from = { descriptor: file.file.descriptor, name: file.name }
    const parts = partsOf(disk, file.file, calls, packed)
    await using own = threads ? undefined : new DiskThreads(Math.min(availableParallelism(), 2))
    await (threads ?? own)?.run(jobsOf(parts, from, calls), context.signal, (_job, answer) => {
      if (!('units' in answer)) return
      for (const unit of answer.units) units.add(unit)
      sums.merge(answer.sums)
    })
  }
  for (const { offset, length } of packed)
    for (let at = offset; at < offset + length; at += READ) {
      if (context.signal.aborted) throw new Failure('INTERRUPTED', 'interrupted')
      scanPlain(await disk.read(at, Math.min(READ, offset + length - at)), at, units, sums)
    }
  const map = units.toMap(disk.size)
  return { disk, map, identity: nameOfDisk(map, sums) }
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
): Generator<{ guest: number; host: number; length: number }> {
  for (const run of disk.runs(0, disk.size)) {
    if (run.kind === 'packed') packed.push(run)
    if (run.kind !== 'data') continue
    const host = start + run.host
    const end = host + run.length
    for (let at = host; at < end;) {
      const data = calls ? calls.nextData(descriptor, at) : at
      if (data === undefined || data >= end) break
      const hole = Math.min(calls ? calls.nextHole(descriptor, data) : end, end)
      yield { guest: run.offset + data - host, host: data, length: hole - data }
      at = hole
    }
  }
}

/** Parts as jobs that are worth a thread's while. */
function* jobsOf(
  parts: Iterable<{ guest: number; host: number; length: number }>,
  from: ScanJob['from'],
  calls: FileCalls | undefined,
): Generator<ScanJob> {
  let numbers: number[] = []
  let room = SCAN_BYTES
  for (const { guest, host, length } of parts)
    for (let done = 0; done < length;) {
      // No unit is cut in two unless its parts stand in different places.
      const wanted = Math.min(length - done, Math.max(room, UNIT))
      const border = Math.floor((guest + done + wanted) / UNIT) * UNIT - guest - done
      const count = done + wanted < length && border > 0 ? border : wanted
      calls?.willRead(from.descriptor, host + done, count)
      numbers.push(guest + done, host + done, count)
      done += count
      room -= count
      if (room > 0 && numbers.length < SCAN_PARTS * 3) continue
      yield { kind: 'scan', from, parts: Float64Array.from(numbers) }
      numbers = []
      room = SCAN_BYTES
    }
  if (numbers.length > 0) yield { kind: 'scan', from, parts: Float64Array.from(numbers) }
}

/** What a thread does with parts of files, for bytes that had to be unpacked. */
function scanPlain(bytes: Uint8Array, offset: number, units: DiskMapBuilder, sums: HeadSums): void {
  const buffer = asBuffer(bytes)
  for (const { start, end, zero } of splitZeros(buffer, offset)) {
    if (zero) continue
    units.add(Math.floor((offset + start) / UNIT), Math.ceil((offset + end) / UNIT))
    for (let at = start; at < end; at += UNIT - ((offset + at) % UNIT))
      sums.add(buffer.subarray(at, Math.min(at + HEAD, end)), offset + at)
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
