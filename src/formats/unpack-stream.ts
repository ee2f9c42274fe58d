/**
 * Compressed content as a stream of what is in it: gzip, zstd, xz, bzip2, and zip archives with one file. It is
 * bounded, and whatever is wrong with it is found before its last byte is given out.
 */
import { endingOf, type StreamPacking } from './_claim.ts'
import { FindingList } from './_findings.ts'
import { openUnpacker, type Unpacker } from './_unpack.ts'
import { imageFailure } from './image-failure.ts'
import { DEFAULT_LIMITS } from './parser.ts'

export type Packing = StreamPacking | 'zip'

const SIGNATURES: readonly (readonly [Packing, Buffer])[] = [
  ['gzip', Buffer.from('1f8b08', 'hex')],
  ['zstd', Buffer.from('28b52ffd', 'hex')],
  ['xz', Buffer.from('fd377a585a00', 'hex')],
  ['bzip2', Buffer.from('BZh')],
  ['zip', Buffer.from('504b0304', 'hex')],
]

/** How content that begins so is compressed; undefined if it is not. */
export function sniffPacking(head: Uint8Array): Packing | undefined {
  return SIGNATURES.find(([, magic]) => magic.equals(head.subarray(0, magic.length)))?.[0]
}

export interface UnpackStreamOptions {
  /** What failures call it. */
  readonly name: string
  /** Bytes that may come out. */
  readonly maxSize: number
}

/**
 * What compressed content holds. Chunks that come in may be reused when the next is asked for; those that
 * come out are the receiver's.
 * Fails with IMAGE_UNSAFE (damaged, too large, more than one file), IMAGE_TRUNCATED, TOOL_MISSING (xz or
 * bzip2), and with what the stream fails with.
 */
export async function* unpackStream(
  chunks: AsyncIterable<Uint8Array>,
  packing: Packing,
  { name, maxSize }: UnpackStreamOptions,
): AsyncGenerator<Uint8Array> {
  const findings = new FindingList()
  const handover = new Handover()
  const limits = { ...DEFAULT_LIMITS, unpackedSize: maxSize }
  const unpacker = openUnpacker(packing, {
    findings,
    limits,
    sink: (chunk) => handover.give(chunk),
  })
  const feeding = feed(chunks, unpacker).then(
    () => handover.end(),
    (error: unknown) => handover.end({ error }),
  )
  try {
    yield* handover.taken()
  } finally {
    handover.end()
    await unpacker.close()
    await feeding
  }
  if (findings.refused)
    throw imageFailure(`${name} (${endingOf(packing) ?? packing})`, findings.all)
}

async function feed(chunks: AsyncIterable<Uint8Array>, unpacker: Unpacker): Promise<void> {
  for await (const chunk of chunks) {
    await unpacker.push(Buffer.from(chunk)) // it keeps what it is given for a while
    if (unpacker.stopped) return
  }
  await unpacker.end()
}

/** Brings chunks from one who gives to one who takes, one at a time. */
class Handover {
  #waiting: { chunk: Uint8Array; taken: () => void } | undefined
  #ended: { error?: unknown } | undefined
  #wake: (() => void) | undefined

  /** Done when the chunk was taken and used, or nobody wants it any more. */
  async give(chunk: Uint8Array): Promise<void> {
    if (this.#ended) return
    await new Promise<void>((taken) => {
      this.#waiting = { chunk, taken }
      this.#wake?.()
    })
  }

  end(ended: { error?: unknown } = {}): void {
    this.#ended ??= ended
    this.#waiting?.taken()
    this.#waiting = undefined
    this.#wake?.()
  }

  async *taken(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const waiting = this.#waiting
      if (waiting) {
        yield waiting.chunk
        this.#waiting = undefined
        waiting.taken()
      } else if (this.#ended) {
        if ('error' in this.#ended) throw this.#ended.error
        return
      } else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
