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
 */
export function fileSink(file: FileHandle): FileSink {
  let end = 0
  return {
    write: async (bytes) => {
      let at = end
      end += bytes.length
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at)
        done += bytesWritten
        at += bytesWritten
      }
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
