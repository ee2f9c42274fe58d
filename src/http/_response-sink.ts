import type { IncomingMessage, ServerResponse } from 'node:http'
import type { OpenFile, Sink } from '../bytes/send-pieces.ts'
import type { ViewListener } from '../formats/view-listener.ts'
import { FileMover } from './_file-mover.ts'
import { Leaving } from './_leaving.ts'

/**
 * A response as the end of the way of content. A write is done when the kernel has the bytes: only
 * then may their buffer hold others. Somebody else may hear them too; if nobody does, and the length of all
 * has been told (so that nothing stands between the bytes), the kernel moves what stands in files.
 */
export class ResponseSink implements Sink {
  /** Bytes that the kernel took. */
  taken = 0
  readonly copy: Sink['copy']
  readonly #response: ServerResponse
  readonly #listener: ViewListener | undefined
  readonly #leaving: Leaving
  readonly #waiting = new Set<(error: Error) => void>()
  readonly #mover: FileMover

  /** The head has been set. */
  constructor(request: IncomingMessage, response: ServerResponse, listener?: ViewListener) {
    this.#response = response
    this.#listener = listener
    this.#leaving = new Leaving(request)
    this.#mover = new FileMover(request.socket)
    if (listener === undefined && response.hasHeader('Content-Length'))
      this.copy = (file, length) => this.#move(file, length)
    this.gone.addEventListener('abort', this.#cancel)
    response.on('error', this.#leaving.leave)
  }

  /** Aborted when the client has left. */
  get gone(): AbortSignal {
    return this.#leaving.gone
  }

  [Symbol.dispose](): void {
    this.#mover[Symbol.dispose]()
    this.#leaving[Symbol.dispose]()
  }

  async write(bytes: Uint8Array): Promise<void> {
    await Promise.all([this.#send(bytes), this.#listener?.write(bytes)])
  }

  /** Nothing before the first write: that brings the head, and waits until it is this answer's turn. */
  async #move(file: OpenFile, length: number): Promise<number> {
    if (this.taken === 0 || this.gone.aborted) return 0
    const sent = await this.#mover.move(file, length)
    this.taken += sent
    return sent
  }

  async #send(bytes: Uint8Array): Promise<void> {
    let cancel: ((error: Error) => void) | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        if (this.gone.aborted) return reject(new Error('the client has left'))
        this.#waiting.add((cancel = reject))
        this.#response.write(bytes, (error) => (error ? this.#leaving.leave() : resolve()))
      })
      this.taken += bytes.length
    } finally {
      if (cancel !== undefined) this.#waiting.delete(cancel)
    }
  }

  /** Ends every write: those to a closed connection are never called back. */
  readonly #cancel = (): void => {
    for (const cancel of this.#waiting) cancel(new Error('the client has left'))
  }
}
