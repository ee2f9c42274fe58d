import { fstatSync, write } from 'node:fs'
import { Socket } from 'node:net'
import { asFileFailure, Failure } from '../base/failure.ts'
import type { Sink } from '../bytes/send-pieces.ts'

const STDOUT = 1

/**
 * Standard output as a sink. Fails with READER_GONE when nobody reads it any more, and with
 * INTERRUPTED at once, even while a reader keeps us waiting.
 */
export function openStdoutSink(signal: AbortSignal): Sink {
  return fstatSync(STDOUT).isFile() ? fileSink() : pipeSink(signal)
}

/** Appends, one write after the other. */
function fileSink(): Sink {
  let last = Promise.resolve()
  return {
    write: (bytes) => {
      last = last.then(async () => await writeAll(bytes))
      return last
    },
  }
}

function pipeSink(signal: AbortSignal): Sink {
  const socket = new Socket({ fd: STDOUT, readable: false, writable: true })
  let failure: Error | undefined
  socket.on('error', (error) => (failure ??= asFileFailure(error, 'standard output')))
  const onAbort = () => {
    failure ??= new Failure('INTERRUPTED', 'interrupted')
    socket.destroy(failure)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  return {
    write: (bytes) =>
      new Promise((resolve, reject) => {
        socket.write(bytes, (error) =>
          error ? reject(failure ?? asFileFailure(error, 'standard output')) : resolve(),
        )
      }),
  }
}

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += await new Promise<number>((resolve, reject) =>
      write(STDOUT, bytes, done, bytes.length - done, null, (error, count) =>
        error ? reject(asFileFailure(error, 'standard output')) : resolve(count),
      ),
    )
}
