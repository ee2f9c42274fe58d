/**
 * Calls of the kernel on open files that Node does not have. All of them only make things faster: where
 * koffi or the C library cannot be loaded, or the file system does not know them, the answers say so,
 * and everything is done the plain way.
 * Source: lseek(2), fallocate(2), posix_fadvise(2).
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
  /** Says that these bytes will be read soon. */
  willRead(descriptor: number, offset: number, length: number): void
}

const SEEK_DATA = 3
const SEEK_HOLE = 4
const FALLOC_KEEP_SIZE = 1
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
      willRead: (descriptor, offset, length) => {
        fadvise(descriptor, offset, length, FADV_WILLNEED)
      },
    }
  } catch {
    return undefined
  }
}
