/**
 * Calls of the kernel on open files that Node does not have. All of them only make things faster: where
 * koffi or the C library cannot be loaded, or the file system does not know them, the answers say so,
 * and everything is done the plain way.
 * Source: lseek(2), fallocate(2), posix_fadvise(2), sync_file_range(2), copy_file_range(2).
 */

export interface FileCalls {
  /** The first byte from `offset` on that may hold data; undefined when only a hole follows. */
  nextData(descriptor: number, offset: number): number | undefined
  /** The first byte from `offset` on that stands in a hole (the end of the file does). */
  nextHole(descriptor: number, offset: number): number
  /**
   * Reserves room for bytes that will be written; makes writing faster, and a full disk is known before
   * anything is. False when there is not enough room.
   */
  reserve(descriptor: number, offset: number, length: number): boolean
  /** Makes bytes a hole; those behind the end of the file stay outside of it. False when it cannot. */
  punch(descriptor: number, offset: number, length: number): boolean
  /**
   * Has the kernel begin to put on the medium what it holds of a file, in another thread, so that there is
   * less to wait for when the file is synchronised. The file has to stay open meanwhile.
   */
  beginWriteBack(descriptor: number): Promise<void>
  /** Says that these bytes will be read soon. */
  willRead(descriptor: number, offset: number, length: number): void
  /**
   * Copies bytes from file to file inside the kernel, in another thread; how many it has copied. None
   * when it could not: the files are of different kinds, one ends, the disk is full.
   */
  copy(from: FilePlace, to: FilePlace, length: number): Promise<number>
  /** As `copy`, at once: quicker for a few hundred KiB. */
  copyNow(from: FilePlace, to: FilePlace, length: number): number
}

/** A place in an open file. */
export interface FilePlace {
  readonly descriptor: number
  readonly offset: number
}

const SEEK_DATA = 3
const SEEK_HOLE = 4
const FALLOC_KEEP_SIZE = 1
const FALLOC_PUNCH_HOLE = 2
const SYNC_FILE_RANGE_WRITE = 2
const FADV_WILLNEED = 3
const ENXIO = 6
const ENOSPC = 28

/** Loads them; undefined where they cannot be had. */
export async function loadFileCalls(): Promise<FileCalls | undefined> {
  if (process.platform !== 'linux') return undefined
  try {
    const { default: koffi } = await import('koffi')
    const libc = koffi.load(null)
    const lseek = libc.func('int64_t lseek64(int fd, int64_t offset, int whence)')
    const fallocate = libc.func('int fallocate64(int fd, int mode, int64_t offset, int64_t length)')
    const fadvise = libc.func(
      'int posix_fadvise64(int fd, int64_t offset, int64_t length, int how)',
    )
    const syncRange = libc.func(
      'int sync_file_range(int fd, int64_t offset, int64_t length, uint flags)',
    )
    const copyRange = libc.func(
      'int64_t copy_file_range(int in, int64_t *in_at, int out, int64_t *out_at, size_t n, uint flags)',
    )
    return {
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
    }
  } catch {
    return undefined
  }
}

/** Memory that does not move while the kernel uses it, as that of small arrays does unless they share a buffer. */
function offsetsOf(from: FilePlace, to: FilePlace): { from: BigInt64Array; to: BigInt64Array } {
  const offsets = new BigInt64Array(new ArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT))
  offsets[0] = BigInt(from.offset)
  offsets[1] = BigInt(to.offset)
  return { from: offsets.subarray(0, 1), to: offsets.subarray(1) }
}
