import type { IncomingMessage } from 'node:http'

/** Whether the client is still there. */
export class Leaving implements Disposable {
  /** Aborted when it has left. */
  readonly gone: AbortSignal
  /** Takes it for gone. */
  readonly leave: () => void
  readonly #request: IncomingMessage

  constructor(request: IncomingMessage) {
    const controller = new AbortController()
    this.#request = request
    this.gone = controller.signal
    this.leave = () => controller.abort()
    // the connection, not the response: one that waits for its turn is never told of the end
    request.socket.once('close', this.leave)
    if (request.socket.destroyed) this.leave()
  }

  [Symbol.dispose](): void {
    this.#request.socket.off('close', this.leave)
  }
}

/** Waits for something that the client waits for too: it says nothing meanwhile, and is not cut off for that. */
export async function waitWithClient<Value>(
  { socket }: IncomingMessage,
  work: Promise<Value>,
): Promise<Value> {
  const { timeout = 0 } = socket
  socket.setTimeout(0)
  try {
    return await work
  } finally {
    socket.setTimeout(timeout)
  }
}

/** Waits so for each; what is done with them is the client's time. */
export async function* waitWithClientForEach<Value>(
  request: IncomingMessage,
  values: AsyncIterable<Value>,
): AsyncGenerator<Value> {
  const iterator = values[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { value, done } = await waitWithClient(request, iterator.next())
      if (done === true) return
      yield value
    }
  } finally {
    await iterator.return?.()
  }
}
