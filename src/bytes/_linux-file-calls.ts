/** The calls of `file-calls.ts`, by the C library of Linux. Importing this fails where there is none, or no koffi. */
import koffi from 'koffi'
import type { FileCalls, FilePlace } from './file-calls.ts'

const SEEK_DATA = 3
const SEEK_HOLE = 4
const FALLOC_KEEP_SIZE = 1
const FALLOC_PUNCH_HOLE = 2
const SYNC_FILE_RANGE_WRITE = 2
const FADV_WILLNEED = 3
const F_DUPFD_CLOEXEC = 1030
const ENXIO = 6
const ENOSPC = 28

const libc = koffi.load(null)
const lseek = libc.func('int64_t lseek64(int fd, int64_t offset, int whence)')
const fallocate = libc.func('int fallocate64(int fd, int mode, int64_t offset, int64_t length)')
const fadvise = libc.func('int posix_fadvise64(int fd, int64_t offset, int64_t length, int how)')
const syncRange = libc.func(
  'int sync_file_range(int fd, int64_t offset, int64_t length, uint flags)',
)
const copyRange = libc.func(
  'int64_t copy_file_range(int in, int64_t *in_at, int out, int64_t *out_at, size_t n, uint flags)',
)
const sendFile = libc.func(
  'int64_t sendfile64(int connection, int file, int64_t *at, size_t length)',
)
const fcntl = libc.func('int fcntl64(int fd, int what, ...)')

export const fileCalls: FileCalls = {
  nextData: (descriptor, offset) => {
    const found = Number(lseek(descriptor, offset, SEEK_DATA))
    if (found >= 0) return found
    return koffi.errno() === ENXIO ? undefined : offset // it does not know: all may be data
  },
  nextHole: (descriptor, offset) => {
    const found = Number(lseek(descriptor, offset, SEEK_HOLE))
    return found >= 0 ? found : Infinity
  },
  reserve: (descriptor, offset, length) =>
    Number(fallocate(descriptor, FALLOC_KEEP_SIZE, offset, length)) === 0 ||
    koffi.errno() !== ENOSPC,
  punch: (descriptor, offset, length) =>
    Number(fallocate(descriptor, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, offset, length)) === 0,
  beginWriteBack: async (descriptor) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    // A length of 0 is all that follows.
    syncRange.async(...([descriptor, 0, 0, SYNC_FILE_RANGE_WRITE] as const), () => resolve())
    await promise
  },
  willRead: (descriptor, offset, length) => {
    fadvise(descriptor, offset, length, FADV_WILLNEED)
  },
  copy: (from, to, length) => {
    const at = offsetsOf(from, to)
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    copyRange.async(
      ...([from.descriptor, at.from, to.descriptor, at.to, length, 0] as const),
      (error: Error | null, copied: number | bigint) => {
        if (error) reject(error)
        else resolve(Math.max(Number(copied), 0))
        void at // the kernel writes there until now
      },
    )
    return promise
  },
  copyNow: (from, to, length) => {
    const at = offsetsOf(from, to)
    const copied = copyRange(from.descriptor, at.from, to.descriptor, at.to, length, 0)
    return Math.max(Number(copied), 0)
  },
  send: (from, connection, length) => {
    const at = offsetsOf(from, from)
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    sendFile.async(
      ...([connection, from.descriptor, at.from, length] as const),
      (error: Error | null, sent: number | bigint) => {
        if (error) reject(error)
        else resolve(Math.max(Number(sent), 0))
        void at // as above
      },
    )
    return promise
  },
  duplicate: (descriptor) => {
    const found = Number(fcntl(descriptor, F_DUPFD_CLOEXEC, 'int', 0))
    return found >= 0 ? found : undefined
  },
}

/** Memory that does not move while the kernel uses it, as that of small arrays does unless they share a buffer. */
function offsetsOf(from: FilePlace, to: FilePlace): { from: BigInt64Array; to: BigInt64Array } {
  const offsets = new BigInt64Array(new ArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT))
  offsets[0] = BigInt(from.offset)
  offsets[1] = BigInt(to.offset)
  return { from: offsets.subarray(0, 1), to: offsets.subarray(1) }
}
