import { closeSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { OpenFile } from '../bytes/send-pieces.ts'
import { type FileCalls, loadFileCalls } from '../bytes/file-calls.ts'
import { countMoved } from './_moved-bytes.ts'

/**
 * Sends what stands in files to one client by means of the kernel: its bytes are copied nowhere, which takes half of
 * the processor's time (measured over loopback). Where that cannot be, nothing is sent.
 */
export class FileMover implements Disposable {
  readonly #socket: Socket
  #opened: Promise<{ calls: FileCalls; connection: number } | undefined> | undefined
  #connection: number | undefined

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Of the next bytes as many as the connection takes just now; how many that was. One at a time. */
  async move(file: OpenFile, length: number): Promise<number> {
    const opened = await (this.#opened ??= this.#open())
    if (opened === undefined) return 0
    const sent = await opened.calls.send(file, opened.connection, length)
    countMoved(this.#socket, sent)
    return sent
  }

  /** Nothing is being moved any more. */
  [Symbol.dispose](): void {
    if (this.#connection !== undefined) closeSync(this.#connection)
    this.#connection = undefined
  }

  /**
   * A descriptor of our own: that of the socket may be closed at any moment, and be somebody else's connection
   * when the kernel comes to send.
   */
  async #open(): Promise<{ calls: FileCalls; connection: number } | undefined> {
    const calls = await loadFileCalls()
    const descriptor = descriptorOf(this.#socket)
    if (descriptor !== undefined) this.#connection = calls?.duplicate(descriptor)
    if (calls === undefined || this.#connection === undefined) return undefined
    return { calls, connection: this.#connection }
  }
}

/** Node has no public name for it. None where bytes are encrypted on their way, or the client has left. */
function descriptorOf(socket: Socket & { _handle?: unknown }): number | undefined {
  const { _handle: handle } = socket
  if ('encrypted' in socket || typeof handle !== 'object' || handle === null) return undefined
  const { fd } = handle as { readonly fd?: unknown }
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}
