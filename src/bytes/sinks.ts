/** Ends of the way of content: a file and a digest; see `send-pieces.ts`. Sockets are `http`'s. */
import type { Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { Sink } from './send-pieces.ts'

export interface FileSink extends Sink {
  /** Gives the file its length, which holes at its end need; how many bytes that is. */
  finish(): Promise<number>
}

/**
 * A new, empty file that is written from its start; long runs of zeros become holes. The file is the
 * caller's to synchronise and to close. System errors come as they are (`asFileFailure` names them).
 *
 * Writes go one after the other: the kernel lets only one at a time into a file, and threads that wait
 * for their turn burn the processor.
 */
export function fileSink(file: FileHandle): FileSink {
  let end = 0
  let last = Promise.resolve()
  return {
    write: (bytes) => {
      const at = end
      end += bytes.length
      last = last.then(async () => await writeAll(file, bytes, at))
      return last
    },
    zeros: (length) => {
      end += length
    },
    finish: async () => {
      await file.truncate(end)
      return end
    },
  }
}

/** Writes all of `bytes` at a place of a file. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done)
    done += bytesWritten
  }
}

/** A digest of the content, zeros and all. */
export function digestSink(hash: Hash): Sink {
  return { write: (bytes) => void hash.update(bytes) }
}

/** Several sinks that are given the same; as fast as the slowest. */
export function teeSink(...sinks: readonly Sink[]): Sink {
  return {
    write: async (bytes) => {
      await Promise.all(sinks.map(async (sink) => await sink.write(bytes)))
    },
  }
}
