import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { readInto } from '../bytes/source.ts'
import type { FormattedDisk } from './cloud-target.ts'

const CHUNK = MiB
const ZEROS = Buffer.alloc(CHUNK)

/**
 * A disk in a format, from its first byte to its last; what is zeros is not read. Chunks may be kept. `tell` hears which
 * part of it (0 to 1) was taken. Fails with INTERRUPTED, and as reading does.
 */
export async function* streamFormatted(
  content: FormattedDisk,
  signal: AbortSignal,
  tell: (fraction: number) => void = () => {},
): AsyncGenerator<Uint8Array> {
  const { size, fileName } = content
  const extents = content.extents ?? [{ start: 0, end: size }]
  let at = 0
  for (const { start, end } of [...extents, { start: size, end: size }])
    while (at < end || at < start) {
      if (signal.aborted) throw new Failure('INTERRUPTED', `sending ${fileName} was interrupted`)
      const chunk =
        at < start
          ? ZEROS.subarray(0, start - at)
          : await read(content, at, Math.min(CHUNK, end - at))
      yield chunk
      at += chunk.length
      tell(at / size)
    }
}

async function read(content: FormattedDisk, at: number, length: number): Promise<Uint8Array> {
  const chunk = Buffer.allocUnsafeSlow(length)
  await readInto(content, chunk, at)
  return chunk
}
