import { once } from 'node:events'
import type { Socket } from 'node:net'

/**
 * A socket as both halves of the protocol see it: exactly so many bytes are taken, and what is given
 * is done with once it resolves. Nothing is buffered beyond what was asked for.
 */
export class WireSocket {
  readonly #socket: Socket
  #wake: (() => void) | undefined
  #ended = false

  constructor(socket: Socket) {
    this.#socket = socket
    const wake = () => this.#wake?.()
    const end = () => {
      this.#ended = true
      wake()
    }
    socket.on('readable', wake).on('end', end).on('close', end)
    socket.on('error', end) // a client that is gone is no error of the server's
  }

  /** Whether the connection is over, for whatever reason. */
  get closed(): boolean {
    return this.#socket.destroyed
  }

  /** The next `length` bytes; undefined when the client is gone before it sent them. */
  async take(length: number): Promise<Buffer | undefined> {
    while (!this.#ended && !this.#socket.destroyed) {
      const bytes = this.#socket.read(length) as Buffer | null
      if (bytes !== null) return bytes.length === length ? bytes : undefined
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    return undefined
  }

  /** Takes bytes nobody wants; false when the client is gone before it sent them all. */
  async skip(length: number): Promise<boolean> {
    const most = 64 * 1024
    for (let left = length; left > 0; left -= most)
      if ((await this.take(Math.min(left, most))) === undefined) return false
    return true
  }

  /**
   * Sends the parts one after the other, with nothing between them. When it resolves, the memory is
   * the caller's again. Bytes for a client that is gone are dropped.
   */
  async give(...parts: readonly Uint8Array[]): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#socket.cork()
      for (const [index, part] of parts.entries())
        if (index === parts.length - 1) this.#socket.write(part, () => resolve())
        else this.#socket.write(part)
      this.#socket.uncork()
    })
  }

  /** Sends what was given and closes; resolves when it is closed. */
  async end(): Promise<void> {
    if (this.#socket.closed) return
    const closed = once(this.#socket, 'close')
    this.#socket.destroySoon()
    await closed
  }

  /** Closes at once. */
  cut(): void {
    this.#socket.destroy()
  }
}
