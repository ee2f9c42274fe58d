import { sniffPacking, type Packing } from '../formats/unpack-stream.ts'

/** Longer than the start of any compressed file. */
const HEAD = 32

/** How content is compressed, told from its first bytes; and all of the content. */
export async function sniff(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ packing: Packing | undefined; content: AsyncIterable<Uint8Array> }> {
  const iterator = chunks[Symbol.asyncIterator]()
  const head: Buffer[] = []
  let size = 0
  while (size < HEAD) {
    const { done, value } = await iterator.next()
    if (done) break
    head.push(Buffer.from(value)) // it may be reused
    size += value.length
  }
  return { packing: sniffPacking(Buffer.concat(head)), content: rejoin(head, iterator) }
}

async function* rejoin(
  head: readonly Uint8Array[],
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* head
    for (;;) {
      const { done, value } = await iterator.next()
      if (done) return
      yield value
    }
  } finally {
    await iterator.return?.()
  }
}
