import type { DigestThreads } from '../bytes/digest-threads.ts'
import { ringSink } from '../bytes/ring-sink.ts'

/** Hears the bytes of a view, as somebody is sent all of them. It must be closed. */
export interface ViewListener extends AsyncDisposable {
  /** The next bytes; they may change once it resolves. */
  write(bytes: Uint8Array): Promise<void> | void
  /** These were all. */
  end(): Promise<void>
}

/** Tells `learn` the SHA-256 of what it hears to the end, and `close` that it hears no more. */
export function listenForDigest(
  threads: DigestThreads,
  learn: (digest: string) => void,
  close: () => void,
): ViewListener {
  const ring = threads.ring(['sha256'])
  const { write } = ringSink(ring)
  return {
    write,
    end: async () => {
      const [digest] = await ring.end()
      if (digest !== undefined) learn(digest)
    },
    [Symbol.asyncDispose]: async () => {
      close()
      await ring[Symbol.asyncDispose]()
    },
  }
}
