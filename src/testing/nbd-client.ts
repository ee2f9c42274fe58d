/** A client of the NBD protocol that says what a test tells it to, the wrong things too. */
import { connect, type Socket } from 'node:net'

export interface OptionReply {
  option: number
  reply: number
  data: Buffer
}

/** One chunk of a structured reply, or a simple reply (`type` -1, its error in `flags`). */
export interface Chunk {
  flags: number
  type: number
  cookie: bigint
  data: Buffer
}

export class NbdClient implements Disposable {
  readonly socket: Socket
  #received = Buffer.alloc(0)
  #ended = false
  #wake = () => {}

  constructor(address: { path: string } | { host: string; port: number }) {
    this.socket = connect(address)
    this.socket.on('error', () => {})
    this.socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes])
      this.#wake()
    })
    this.socket.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  /** The next bytes; throws when the server closes before it sent them. */
  async take(length: number): Promise<Buffer> {
    while (this.#received.length < length) {
      if (this.#ended) throw new Error('the server has closed the connection')
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    const bytes = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return bytes
  }

  /** Waits until the server has closed; what it sent that nobody took. */
  async rest(): Promise<Buffer> {
    while (!this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve))
    return this.#received
  }

  /** Takes the hello and answers with these flags. */
  async greet(flags = 3): Promise<void> {
    await this.take(18)
    this.socket.write(u32(flags))
  }

  option(option: number, data: Uint8Array = Buffer.alloc(0), length: number = data.length): void {
    this.socket.write(Buffer.concat([Buffer.from('IHAVEOPT'), u32(option), u32(length), data]))
  }

  async optionReply(): Promise<OptionReply> {
    const head = await this.take(20)
    const data = await this.take(head.readUInt32BE(16))
    return { option: head.readUInt32BE(8), reply: head.readUInt32BE(12), data }
  }

  /** All replies to an option, up to the one that ends them. */
  async ask(option: number, data?: Uint8Array): Promise<OptionReply[]> {
    this.option(option, data)
    const replies: OptionReply[] = []
    for (;;) {
      const reply = await this.optionReply()
      replies.push(reply)
      if (reply.reply === 1 || reply.reply > 2 ** 31) return replies
    }
  }

  /** Agrees as programs do: structured replies, which parts are data, the export with no name. */
  async agree({ structured = true } = {}): Promise<void> {
    await this.greet()
    if (structured) {
      await this.ask(8)
      await this.ask(10, Buffer.concat([text(''), u32(1), text('base:allocation')]))
    }
    await this.ask(7, Buffer.concat([text(''), Buffer.from([0, 0])]))
  }

  request(command: number, offset: number | bigint, length: number, flags = 0, cookie = 1n): void {
    const bytes = Buffer.alloc(28)
    bytes.writeUInt32BE(0x25609513, 0)
    bytes.writeUInt16BE(flags, 4)
    bytes.writeUInt16BE(command, 6)
    bytes.writeBigUInt64BE(cookie, 8)
    bytes.writeBigUInt64BE(BigInt(offset), 16)
    bytes.writeUInt32BE(length, 24)
    this.socket.write(bytes)
  }

  async chunk(): Promise<Chunk> {
    const magic = (await this.take(4)).readUInt32BE(0)
    if (magic === 0x67446698) {
      const simple = await this.take(12)
      const data = Buffer.alloc(0)
      return { flags: simple.readUInt32BE(0), type: -1, cookie: simple.readBigUInt64BE(4), data }
    }
    if (magic !== 0x668e33ef) throw new Error(`no reply begins with ${magic.toString(16)}`)
    const head = await this.take(16)
    return {
      flags: head.readUInt16BE(0),
      type: head.readUInt16BE(2),
      cookie: head.readBigUInt64BE(4),
      data: await this.take(head.readUInt32BE(12)),
    }
  }

  /** Reads by chunks, as many as there are; their types, and the content. Throws the server's error. */
  async read(
    offset: number,
    length: number,
    flags = 0,
  ): Promise<{ types: number[]; content: Buffer }> {
    this.request(0, offset, length, flags)
    const content = Buffer.alloc(length, 0xee)
    const types: number[] = []
    for (let done = false; !done;) {
      const { type, flags, data } = await this.chunk()
      types.push(type)
      done = (flags & 1) === 1
      if (type === 0x8001) throw new Error(`error ${data.readUInt32BE(0)}`)
      if (type === 0) continue
      const at = Number(data.readBigUInt64BE(0)) - offset
      if (type === 1) data.copy(content, at, 8)
      else content.fill(0, at, at + data.readUInt32BE(8))
    }
    return { types, content }
  }
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Text after its length. */
export function text(value: string): Buffer {
  return Buffer.concat([u32(Buffer.byteLength(value)), Buffer.from(value)])
}
