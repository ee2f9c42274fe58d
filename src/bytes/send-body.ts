import { once as happens } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'

/**
 * Sends the body of a request at the pace of the server, and gives the `answer`. One that comes before the body's end ends
 * the sending. What `content` throws flies, and the request ends.
 */
export async function sendBody(
  asked: ClientRequest,
  content: AsyncIterable<Uint8Array>,
  answer: Promise<IncomingMessage>,
): Promise<IncomingMessage> {
  let answered = false
  const end = () => {
    answered = true
    return undefined
  }
  const over = answer.then(end, end)
  const chunks = content[Symbol.asyncIterator]()
  try {
    for (;;) {
      // A source that is silent must not keep us from hearing that it is over.
      const next = await Promise.race([chunks.next(), over])
      if (answered || next === undefined || next.done) break
      if (!asked.write(next.value)) await Promise.race([happens(asked, 'drain'), answer])
    }
  } catch (error) {
    asked.destroy()
    answer.catch(() => {}) // it fails because the data did
    throw error
  }
  if (answered) void chunks.return?.()?.catch(() => {})
  if (!answered) asked.end()
  else
    answer.then(
      (response) => response.once('close', () => asked.destroy()),
      () => {}, // told below
    )
  return await answer
}
