/**
 * Bytes in place: whatever can be read at an offset. Files, pieces of memory, windows of other
 * sources, the guest's disk inside a qcow2 file: all the same to who reads them.
 *
 * A source knows its size, gives exactly what was asked for, and never more. Who opens one closes
 * it; a window or a cache leaves closing to whoever opened what is below.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { asFileFailure, Failure } from '../base/failure.ts'

export interface Source extends AsyncDisposable {
  /** What failures call it: a file name, `partition 1`. */
  readonly name: string
  /** Bytes. It does not change. */
  readonly size: number
  /**
   * Exactly `length` bytes from `offset`. They may be shared with other readers: look, do not write.
   * Fails with IMAGE_TRUNCATED when the range is not inside the source.
   */
  read(offset: number, length: number): Promise<Uint8Array>
}

/** Fails with IMAGE_TRUNCATED unless `length` bytes from `offset` lie inside the source. */
export function checkRange(
  source: Pick<Source, 'name' | 'size'>,
  offset: number,
  length: number,
): void {
  const valid = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
  if (valid && offset >= 0 && length >= 0 && offset + length <= source.size) return
  throw new Failure(
    'IMAGE_TRUNCATED',
    `${source.name}: wanted ${length} bytes at byte ${offset}, but it ends at byte ${source.size}`,
    { details: { offset, length, size: source.size } },
  )
}

/**
 * A regular file, read only. Devices, pipes and directories are refused, without waiting on them.
 * Fails with FILE_NOT_FOUND, FILE_UNREADABLE.
 */
export async function openFileSource(path: string): Promise<Source> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = await file.stat()
    if (!stat.isFile()) {
      await file.close()
      throw new Failure('FILE_UNREADABLE', `${path} is not a regular file`, { details: { path } })
    }
    const source: Source = {
      name: path,
      size: stat.size,
      read: async (offset, length) => {
        checkRange(source, offset, length)
        const buffer = Buffer.allocUnsafeSlow(length)
        for (let done = 0; done < length;) {
          const { bytesRead } = await file.read(buffer, done, length - done, offset + done)
          if (bytesRead === 0) checkRange({ name: path, size: offset + done }, offset, length)
          done += bytesRead
        }
        return buffer
      },
      [Symbol.asyncDispose]: () => file.close(),
    }
    return source
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

/** Bytes in memory as a source; they are not copied. */
export function memorySource(bytes: Uint8Array, name = 'memory'): Source {
  const source: Source = {
    name,
    size: bytes.length,
    read: async (offset, length) => {
      checkRange(source, offset, length)
      return bytes.subarray(offset, offset + length)
    },
    [Symbol.asyncDispose]: async () => {},
  }
  return source
}

/** A part of a source as a source of its own. Fails with IMAGE_TRUNCATED if it is not all there. */
export function windowOf(below: Source, offset: number, length: number, name: string): Source {
  checkRange(below, offset, length)
  const source: Source = {
    name,
    size: length,
    read: async (from, count) => {
      checkRange(source, from, count)
      return await below.read(offset + from, count)
    },
    [Symbol.asyncDispose]: async () => {},
  }
  return source
}
