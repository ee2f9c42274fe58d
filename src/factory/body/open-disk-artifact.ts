import { Failure } from '../../base/failure.ts'
import { MiB } from '../../base/units.ts'
import { readInto } from '../../bytes/source.ts'
import { viewFormatOf } from '../../formats/views.ts'
import type { Artifact, FormattedDisk, PushedDisk } from '../cloud-target.ts'

const CHUNK = MiB
const ZEROS = Buffer.alloc(CHUNK)

/**
 * A disk in a format, as one file to be had from its first byte to its last. `name` is the file's, without the ending.
 * Fails as `PushedDisk.open` does.
 */
export async function openDiskArtifact(
  disk: PushedDisk,
  format: string,
  name: string,
): Promise<Artifact> {
  const content = await disk.open(format)
  const { mediaType, size } = content
  const fileName = `${name}.${viewFormatOf(format).endings[0] ?? format}`
  return { fileName, mediaType, format, size, stream: (signal) => streamOf(content, signal) }
}

/** All of it; what is zeros is not read. Fails with INTERRUPTED, and as reading does. */
async function* streamOf(content: FormattedDisk, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { size, fileName } = content
  const extents = content.extents ?? [{ start: 0, end: size }]
  let at = 0
  for (const { start, end } of [...extents, { start: size, end: size }]) {
    for (; at < start; at += Math.min(CHUNK, start - at)) yield ZEROS.subarray(0, start - at)
    for (; at < end; at += Math.min(CHUNK, end - at)) {
      if (signal.aborted) throw new Failure('INTERRUPTED', `sending ${fileName} was interrupted`)
      const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK, end - at))
      await readInto(content, chunk, at)
      yield chunk
    }
  }
}
