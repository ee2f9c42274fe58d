/**
 * The guest's disk inside a file of any format, read at any place. The format's parser says once where
 * everything stands; from then on reading is arithmetic, and nothing that the file says is looked at
 * again. Who only wants to know whether a file is safe calls `inspect.ts`; who has a path calls
 * `open-image.ts`.
 */
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { Recent } from '../bytes/recent.ts'
import { checkRange, type DirectSource, readAnew, readInto, type Source } from '../bytes/source.ts'
import { type ExtentTable, ExtentTableBuilder } from './extent-table.ts'
import type { Finding, FindingCode } from './finding.ts'
import { imageFailure } from './image-failure.ts'
import { parseSource } from './_parse-source.ts'
import type { DiskFormatName, DiskParser, Extent, Limits } from './parser.ts'
import { unpackExtent } from './_unpack-extent.ts'

/** Unpacked clusters that are kept. */
const KEPT = 8 * MiB
/** Payloads that stand close are read together, and unpacked together: up to this many bytes. */
const BATCH = 1 * MiB
const UNPACKED_BATCH = 4 * MiB

/** A run of the disk. `host`: where its bytes stand in the file as they are. */
export type Run =
  | { readonly kind: 'zeros'; readonly offset: number; readonly length: number }
  | { readonly kind: 'packed'; readonly offset: number; readonly length: number }
  | {
      readonly kind: 'data'
      readonly offset: number
      readonly length: number
      readonly host: number
    }

/** The guest's disk inside a file. Its `size` is the virtual size. */
export interface Disk extends Source {
  readonly format: DiskFormatName
  /** What was found on the way, none of it a reason to refuse the image. */
  readonly findings: readonly Finding[]
  /** The runs that may hold anything but zeros, in order; what stands between them is zeros. */
  extents(): Generator<{ offset: number; length: number }>
  /** What the bytes from `from` to `to` are made of, in order and without gaps. */
  runs(from: number, to: number): Generator<Run>
}

/**
 * Opens the guest's disk inside a file of this format. Opening reads the tables, all of them, and
 * none of the data. Findings that are `tolerated` are no reason to refuse the file. The file stays
 * open until whoever opened it closes it.
 *
 * Fails with IMAGE_UNSAFE, IMAGE_DIRTY, IMAGE_TRUNCATED, IMAGE_UNREADABLE, FILE_SYSTEM_ENCRYPTED,
 * all findings in `details.findings`. Reading fails with IMAGE_UNSAFE where a compressed part is
 * damaged.
 */
export async function openDisk(
  file: Source,
  parser: DiskParser,
  { limits, tolerated = [] }: { limits?: Limits; tolerated?: readonly FindingCode[] } = {},
): Promise<Disk> {
  const builder = new ExtentTableBuilder()
  const onExtent = (extent: Extent) => builder.add(extent)
  const { disk, findings, more } = await parseSource(parser, file, { limits, onExtent })
  const refused = findings.filter(
    ({ code, severity }) => severity === 'refuse' && !tolerated.includes(code),
  )
  if (disk === undefined || refused.length + more > 0)
    throw imageFailure(file.name, findings, tolerated)
  const table = builder.toTable(disk.virtualSize, file.size)
  return diskOf(file, table, { format: parser.name, findings })
}

/** The disk in a file whose extents are known, and safe. */
export function diskOf(
  file: Source,
  table: ExtentTable,
  about: Pick<Disk, 'format' | 'findings'>,
): Disk {
  const unpacked = new Recent<number, Uint8Array>(KEPT)
  const fill = async (target: Uint8Array, offset: number) => {
    checkRange(disk, offset, target.length)
    const end = offset + target.length
    let done = offset
    for (let index = table.find(offset); index < table.count && done < end;) {
      const extent = table.at(index)
      if (extent.guest >= end) break
      if (extent.guest > done) target.fill(0, done - offset, extent.guest - offset)
      if (extent.kind === 'data') {
        const from = Math.max(extent.guest, done)
        done = Math.min(extent.guest + extent.length, end)
        const part = target.subarray(from - offset, done - offset)
        await readInto(file, part, extent.host + from - extent.guest)
        index++
      } else {
        const batch = batchFrom(table, index, end)
        await unpackBatch(file, batch, unpacked, (bytes, guest) => {
          const from = Math.max(guest, offset)
          const to = Math.min(guest + bytes.length, end)
          target.set(bytes.subarray(from - guest, to - guest), from - offset)
        })
        index += batch.length
        const last = batch.at(-1)
        if (last) done = last.guest + last.length
      }
    }
    if (done < end) target.fill(0, done - offset)
  }
  const first = table.count === 1 ? table.at(0) : undefined
  const whole = first?.kind === 'data' && first.guest === 0 && first.length === table.size
  const disk: Disk & DirectSource = {
    ...about,
    name: file.name,
    size: table.size,
    file: whole && file.file ? { ...file.file, offset: file.file.offset + first.host } : undefined,
    read: (offset, length) => readAnew(disk, offset, length),
    readInto: fill,
    extents: () => extentsOf(table),
    runs: (from, to) => runsOf(table, from, to),
    [Symbol.asyncDispose]: async () => {},
  }
  return disk
}

function* extentsOf(table: ExtentTable): Generator<{ offset: number; length: number }> {
  let open: { offset: number; length: number } | undefined
  for (let index = 0; index < table.count; index++) {
    const { guest, length: whole } = table.at(index)
    const length = Math.min(whole, table.size - guest)
    if (open && open.offset + open.length === guest) open.length += length
    else {
      if (open) yield open
      open = { offset: guest, length }
    }
  }
  if (open) yield open
}

function* runsOf(table: ExtentTable, from: number, to: number): Generator<Run> {
  let done = from
  for (let index = table.find(from); index < table.count && done < to; index++) {
    const extent = table.at(index)
    const start = Math.min(Math.max(extent.guest, done), to)
    if (start > done) yield { kind: 'zeros', offset: done, length: start - done }
    done = Math.min(extent.guest + extent.length, to)
    const run = { offset: start, length: done - start }
    if (run.length <= 0) return
    if (extent.kind !== 'data') yield { kind: 'packed', ...run }
    else yield { kind: 'data', ...run, host: extent.host + start - extent.guest }
  }
  if (done < to) yield { kind: 'zeros', offset: done, length: to - done }
}

type PackedExtent = Exclude<Extent, { kind: 'data' }>

/** Packed extents that follow each other in the disk and stand close together in the file. */
function batchFrom(table: ExtentTable, index: number, end: number): PackedExtent[] {
  const batch: PackedExtent[] = []
  let [low, high, length] = [Infinity, 0, 0]
  for (let at = index; at < table.count; at++) {
    const extent = table.at(at)
    if (extent.kind === 'data' || extent.guest >= end) break
    const last = batch.at(-1)
    if (last && extent.guest !== last.guest + last.length) break
    low = Math.min(low, extent.host)
    high = Math.max(high, extent.host + extent.hostLength)
    length += extent.length
    if (last && (high - low > BATCH || length > UNPACKED_BATCH)) break
    batch.push(extent)
  }
  return batch
}

async function unpackBatch(
  file: Source,
  batch: readonly PackedExtent[],
  unpacked: Recent<number, Uint8Array>,
  use: (bytes: Uint8Array, guest: number) => void,
): Promise<void> {
  const missing = batch.filter((extent) => {
    const known = unpacked.get(extent.guest)
    if (known) use(known, extent.guest)
    return known === undefined
  })
  if (missing.length === 0) return
  const low = Math.min(...missing.map(({ host }) => host))
  const high = Math.max(...missing.map(({ host, hostLength }) => host + hostLength))
  if (low >= file.size) throw new Failure('IMAGE_TRUNCATED', `${file.name} ends before byte ${low}`)
  const payloads = await file.read(low, Math.min(high, file.size) - low)
  await Promise.all(
    missing.map(async (extent) => {
      const payload = payloads.subarray(extent.host - low, extent.host - low + extent.hostLength)
      const bytes = await unpackExtent(payload, extent)
      unpacked.set(extent.guest, bytes, bytes.length)
      use(bytes, extent.guest)
    }),
  )
}
