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
  /** As `read`, into memory of the caller's. Left out means the plain way: ask `readInto` below. */
  readInto?(target: Uint8Array, offset: number): Promise<void>
  /**
   * Where the bytes stand in an open file, when they stand there one after the other: for those who
   * let the kernel move them. They are the source's to close.
   */
  readonly file?: { readonly descriptor: number; readonly offset: number } | undefined
}

/** A source that reads into the caller's memory by itself. Its `read` is `readAnew`. */
export interface DirectSource extends Source {
  readInto(target: Uint8Array, offset: number): Promise<void>
}

/** Reads into new memory. Fails with IMAGE_TRUNCATED, and as the source does. */
export async function readAnew(
  source: Pick<DirectSource, 'name' | 'size' | 'readInto'>,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  checkRange(source, offset, length) // before so much memory is taken
  const bytes = Buffer.allocUnsafeSlow(length)
  await source.readInto(bytes, offset)
  return bytes
}

/** Fills `target` with the bytes from `offset`, with no copy where the source can. */
export async function readInto(source: Source, target: Uint8Array, offset: number): Promise<void> {
  if (source.readInto === undefined) target.set(await source.read(offset, target.length))
  else await source.readInto(target, offset)
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
      throw new Failure('FILE_UNREADABLE', `${path} is not a regular file`, {
        details: { path },
        fix: 'Name a file that holds the bytes.',
      })
    }
    const readInto = async (target: Uint8Array, offset: number) => {
      const { length } = target
      checkRange(source, offset, length)
      for (let done = 0; done < length;) {
        const { bytesRead } = await file.read(target, done, length - done, offset + done)
        if (bytesRead === 0) checkRange({ name: path, size: offset + done }, offset, length)
        done += bytesRead
      }
    }
    const source: DirectSource = {
      name: path,
      size: stat.size,
      file: { descriptor: file.fd, offset: 0 },
      read: (offset, length) => readAnew(source, offset, length),
      readInto,
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
    file: below.file && { ...below.file, offset: below.file.offset + offset },
    read: async (from, count) => {
      checkRange(source, from, count)
      return await below.read(offset + from, count)
    },
    readInto: async (target, from) => {
      checkRange(source, from, target.length)
      await readInto(below, target, offset + from)
    },
    [Symbol.asyncDispose]: async () => {},
  }
  return source
}
