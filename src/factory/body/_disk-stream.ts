import { MiB } from '../../base/units.ts'
import { type FileCalls, loadFileCalls } from '../../bytes/file-calls.ts'
import { readInto } from '../../bytes/source.ts'
import type { Disk } from '../../formats/open-disk.ts'
import type { Image } from '../../formats/open-image.ts'

const CHUNK = MiB
const ZEROS = Buffer.alloc(CHUNK)

/**
 * A guest's disk from its first byte to its last. What is a hole of the file is not read. Chunks are reused: whoever
 * takes one is done with it before asking for the next.
 */
export async function* streamDisk({ disk, file }: Image): AsyncGenerator<Uint8Array> {
  const calls = file.file && (await loadFileCalls())
  const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK, disk.size))
  for (const { isData, offset, length } of partsOf(disk, file.file, calls))
    for (let at = offset; at < offset + length;) {
      const part = (isData ? buffer : ZEROS).subarray(0, offset + length - at)
      if (isData) await readInto(disk, part, at)
      yield part
      at += part.length
    }
}

interface Part {
  readonly isData: boolean
  readonly offset: number
  readonly length: number
}

/** What the disk is made of, in order and without gaps. */
function* partsOf(
  disk: Disk,
  file: Image['file']['file'],
  calls: FileCalls | undefined,
): Generator<Part> {
  for (const run of disk.runs(0, disk.size)) {
    const { kind, offset, length } = run
    if (kind !== 'data' || file === undefined || calls === undefined) {
      yield { isData: kind !== 'zeros', offset, length }
      continue
    }
    const start = file.offset + run.host
    const end = start + length
    for (let at = start; at < end;) {
      const data = Math.min(calls.nextData(file.descriptor, at) ?? end, end)
      if (data > at) yield { isData: false, offset: offset + at - start, length: data - at }
      const hole = data < end ? Math.min(calls.nextHole(file.descriptor, data), end) : end
      if (hole > data) yield { isData: true, offset: offset + data - start, length: hole - data }
      at = hole
    }
  }
}
