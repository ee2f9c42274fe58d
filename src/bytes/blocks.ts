import { BLOCK, type DigestRing } from './digest-threads.ts'

/** A stream, copied into blocks of the ring; all but the last are full. Chunks may be reused afterwards. */
export async function* blocksOf(
  chunks: AsyncIterable<Uint8Array>,
  ring: DigestRing,
): AsyncGenerator<Buffer> {
  let block = await ring.take()
  let filled = 0
  for await (const chunk of chunks)
    for (let at = 0; at < chunk.length;) {
      const part = chunk.subarray(at, at + BLOCK - filled)
      block.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < BLOCK) continue
      yield block
      block = await ring.take()
      filled = 0
    }
  if (filled > 0) yield block.subarray(0, filled)
}

/** The same bytes, digested by the ring. A block stays as it is until the next one is asked for. */
export async function* digestedBlocks(
  chunks: AsyncIterable<Uint8Array>,
  ring: DigestRing,
): AsyncGenerator<Uint8Array> {
  for await (const block of blocksOf(chunks, ring)) {
    ring.put(block.length)
    const { promise, resolve } = Promise.withResolvers<void>()
    ring.keep(promise)
    try {
      yield block
    } finally {
      resolve()
    }
  }
}
