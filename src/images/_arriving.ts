import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'

/** How far the data is that arrives. */
export interface Arrived {
  size: number
}

export interface Arriving {
  /** What failures call it. */
  readonly name: string
  /** Bytes that were announced. */
  readonly size?: number | undefined
  readonly maxSize: number
}

/**
 * The same chunks; counts them, holds them to what was announced, and ends at once when the signal says so,
 * however long the next chunk takes.
 * Fails with REQUEST_INVALID, LIMIT_EXCEEDED, INTERRUPTED (or the Failure that the signal brings).
 */
export async function* counted(
  chunks: AsyncIterable<Uint8Array>,
  { name, size, maxSize }: Arriving,
  arrived: Arrived,
  { signal, progress }: Pick<Context, 'signal' | 'progress'>,
): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]()
  let cancel: ((error: unknown) => void) | undefined
  const onAbort = () => cancel?.(interruption(name, signal))
  signal.addEventListener('abort', onAbort)
  try {
    for (;;) {
      if (signal.aborted) throw interruption(name, signal)
      const next = await new Promise<IteratorResult<Uint8Array, unknown>>((resolve, reject) => {
        cancel = reject
        iterator.next().then(resolve, reject)
      })
      cancel = undefined
      if (next.done) break
      arrived.size += next.value.length
      if (size !== undefined && arrived.size > size) throw otherSize(name, size, 'more')
      if (arrived.size > maxSize) throw tooLarge(name, maxSize)
      progress({ kind: 'bytes', name: 'ingest', done: arrived.size, ...(size && { total: size }) })
      yield next.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    void iterator.return?.()?.catch(() => {}) // one that waits for the client never answers
  }
  if (size !== undefined && arrived.size < size) throw otherSize(name, size, `${arrived.size}`)
}

export function tooLarge(name: string, maxSize: number): Failure {
  return new Failure('LIMIT_EXCEEDED', `${name} is larger than ${maxSize} bytes`, {
    details: { maxSize },
  })
}

function otherSize(name: string, size: number, found: string): Failure {
  const text = `${name}: ${size} bytes were announced, and ${found} came`
  return new Failure('REQUEST_INVALID', text, { details: { size } })
}

function interruption(name: string, signal: AbortSignal): Error {
  if (signal.reason instanceof Failure) return signal.reason
  return new Failure('INTERRUPTED', `taking in ${name} was interrupted`, { cause: signal.reason })
}
