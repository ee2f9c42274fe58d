/**
 * One connection of a client that costs little: it shares the machine with the server it measures, so it
 * reads of an answer no more than is asked of it, into one buffer.
 */
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { KiB, MiB } from '../../src/base/units.ts'

export interface Answer {
  readonly status: number
  /** Bytes of the body. */
  readonly length: number
  /** The body, if it was to be kept. */
  readonly text: string
  /** Until the first byte of the body was there, or the end of an answer that has none. */
  readonly firstByteMs: number
}

interface Expected {
  readonly keep: boolean
  readonly askedAt: number
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

const BUFFER = 512 * KiB
const PART = MiB
const HEAD_END = Buffer.from('\r\n\r\n')

/** HTTP/1.1, one request at a time; opened anew when the server closed it. Bodies in chunks are refused. */
export class Connection {
  readonly #port: number
  #socket: Socket | undefined
  #expected: Expected | undefined
  /** Of a head that is not all there. */
  #begun: Buffer | undefined
  #status = 0
  /** Of the body; infinite when it ends with the connection. */
  #length = 0
  #received = 0
  #closes = false
  #firstByteMs: number | undefined
  #parts: string[] = []

  constructor(port: number) {
    this.#port = port
  }

  /** Sends a request, head and body, and takes its answer. */
  ask(request: string, keep = false): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#expected = { keep, askedAt: performance.now(), resolve, reject }
      this.#status = 0
      this.#received = 0
      this.#firstByteMs = undefined
      this.#parts = []
      this.#socket ??= this.#connect()
      this.#socket.write(request, 'latin1')
    })
  }

  /** Sends the head, then the file as the body, as fast as the server takes it. */
  async put(head: string, path: string): Promise<Answer> {
    const answer = this.ask(head, true)
    const answered = new AbortController()
    const mark = () => answered.abort()
    answer.then(mark, mark)
    const file = await open(path)
    try {
      const buffers = [Buffer.allocUnsafe(PART), Buffer.allocUnsafe(PART)]
      for (let turn = 0; !answered.signal.aborted; turn++) {
        const { bytesRead, buffer } = await file.read(buffers[turn % 2] ?? Buffer.alloc(PART))
        if (bytesRead === 0) break
        const socket = this.#socket
        // Two at a time: while one is sent the next is read
        if (socket?.write(buffer.subarray(0, bytesRead)) === false)
          await Promise.race([once(socket, 'drain'), answer])
      }
    } finally {
      await file.close()
    }
    return await answer
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  #connect(): Socket {
    const socket = connect({
      port: this.#port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(BUFFER),
        callback: (length, buffer) => {
          this.#take((buffer as Buffer).subarray(0, length))
          return true
        },
      },
    })
    const end = (error?: Error) => {
      if (this.#socket !== socket) return
      this.#socket = undefined
      if (this.#length === Infinity && this.#status !== 0) this.#finish()
      else this.#fail(error ?? new Error('the server closed the connection without an answer'))
    }
    socket.on('error', end)
    socket.on('close', () => end())
    return socket
  }

  #take(bytes: Buffer): void {
    if (this.#expected === undefined) return
    let body = bytes
    if (this.#status === 0) {
      const all = this.#begun === undefined ? bytes : Buffer.concat([this.#begun, bytes])
      const end = all.indexOf(HEAD_END)
      this.#begun = end < 0 ? Buffer.from(all) : undefined
      if (end < 0) return
      this.#readHead(all.toString('latin1', 0, end + 2))
      body = all.subarray(end + 4)
    }
    if (body.length > 0) {
      this.#firstByteMs ??= performance.now() - this.#expected.askedAt
      if (this.#expected.keep) this.#parts.push(body.toString())
    }
    this.#received += body.length
    if (this.#received >= this.#length) this.#finish()
  }

  #readHead(head: string): void {
    this.#status = Number(head.slice(9, 12))
    this.#closes = /\r\nconnection: close\r\n/i.test(head)
    if (/\r\ntransfer-encoding:/i.test(head)) throw new Error('a body in chunks')
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1]
    if (length !== undefined) this.#length = Number(length)
    else this.#length = this.#status === 204 ? 0 : Infinity
  }

  #finish(): void {
    const expected = this.#expected
    if (expected === undefined) return
    this.#expected = undefined
    if (this.#closes) this.close()
    expected.resolve({
      status: this.#status,
      length: this.#received,
      text: this.#parts.join(''),
      firstByteMs: this.#firstByteMs ?? performance.now() - expected.askedAt,
    })
  }

  #fail(error: Error): void {
    const expected = this.#expected
    this.#expected = undefined
    expected?.reject(error)
  }
}
