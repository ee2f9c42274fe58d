/**
 * Calls of the kernel on open files that Node does not have. All of them only make things faster: where
 * koffi or the C library cannot be loaded, or the file system does not know them, the answers say so,
 * and everything is done the plain way.
 * Source: lseek(2), fallocate(2), posix_fadvise(2), sync_file_range(2), copy_file_range(2), sendfile(2), fcntl(2).
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
  /**
   * Sends bytes of a file to a connection inside the kernel, in another thread: as many as it takes without
   * waiting; how many that was.
   */
  send(from: FilePlace, connection: number, length: number): Promise<number>
  /** Another descriptor of what is open, which no child inherits, to be closed for itself; undefined if there can be none. */
  duplicate(descriptor: number): number | undefined
}

/** A place in an open file. */
export interface FilePlace {
  readonly descriptor: number
  readonly offset: number
}

/** Loads them; undefined where they cannot be had. */
export async function loadFileCalls(): Promise<FileCalls | undefined> {
  if (process.platform !== 'linux') return undefined
  try {
    return (await import('./_linux-file-calls.ts')).fileCalls
  } catch {
    return undefined
  }
}
