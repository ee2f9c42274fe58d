import type { DigestRing } from './digest-threads.ts'
import type { Sink } from './send-pieces.ts'

/** A ring as an end of the way of content; see `send-pieces.ts`. It is the caller's to end and to close. */
export function ringSink(ring: DigestRing): Required<Pick<Sink, 'write' | 'zeros'>> {
  let last = Promise.resolve()
  const put = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) {
      const block = await ring.take()
      const part = bytes.subarray(at, at + block.length)
      block.set(part)
      ring.put(part.length)
      at += part.length
    }
  }
  return {
    write: (bytes) => (last = last.then(() => put(bytes))),
    zeros: (length) => (last = last.then(() => ring.zeros(length))),
  }
}
