/** A source that another thread reads: it asks for ranges by messages, and gets them or learns why not. */
import type { MessagePort } from 'node:worker_threads'
import { fromSent, type SentError, toSent } from '../base/sent-error.ts'
import { checkRange, type Source } from '../bytes/source.ts'

interface Ask {
  id: number
  offset: number
  length: number
}
type Answer = { id: number; bytes: Uint8Array } | { id: number; error: SentError }

/** What the other thread needs to know besides the port. */
export type RangeFacts = Pick<Source, 'name' | 'size'>

/** Answers the reads of the thread at the other end, until the port is closed. */
export function serveRanges(source: Source, port: MessagePort): void {
  const answer = async ({ id, offset, length }: Ask): Promise<Answer> => {
    try {
      return { id, bytes: await source.read(offset, length) }
    } catch (error) {
      return { id, error: toSent(error) }
    }
  }
  port.on('message', (ask: Ask) => {
    void answer(ask).then((told) => port.postMessage(told))
  })
}

/** The source at the other end of the port. */
export function openRanges(port: MessagePort, { name, size }: RangeFacts): Source {
  const waiting = new Map<number, (answer: Answer) => void>()
  let nextId = 1
  port.on('message', (answer: Answer) => {
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  const source: Source = {
    name,
    size,
    read: async (offset, length) => {
      checkRange(source, offset, length)
      const id = nextId++
      const answer = await new Promise<Answer>((resolve) => {
        waiting.set(id, resolve)
        port.postMessage({ id, offset, length } satisfies Ask)
      })
      if ('error' in answer) throw fromSent(answer.error)
      return answer.bytes
    },
    [Symbol.asyncDispose]: async () => port.close(),
  }
  return source
}
