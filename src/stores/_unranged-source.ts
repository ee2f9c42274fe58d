import type { IncomingMessage } from 'node:http'
import { checkRange, type DirectSource, readAnew } from '../bytes/source.ts'
import { asWebFailure, type AskContent, checkSame, type WebContent } from './_web-content.ts'

/**
 * Content of a server that gives no ranges: quick for who reads it from its start to its end; who goes back
 * waits until it has come once more.
 */
export class UnrangedSource implements DirectSource {
  readonly name: string
  readonly size: number
  readonly #content: WebContent
  readonly #ask: AskContent
  readonly #silenceMs: number
  #response: IncomingMessage
  #chunks: AsyncIterator<Buffer>
  /** What has come and was not taken yet, and where it stands. */
  #rest: Buffer = Buffer.alloc(0)
  #at = 0
  /** One reader at a time. */
  #turn: Promise<unknown> = Promise.resolve()

  /** `first`: an answer with all of it. */
  constructor(
    content: WebContent,
    ask: AskContent,
    { first, silenceMs }: { first: IncomingMessage; silenceMs: number },
  ) {
    this.name = content.url
    this.size = content.size
    this.#content = content
    this.#ask = ask
    this.#silenceMs = silenceMs
    this.#response = first
    this.#chunks = this.#listen(first)
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return await readAnew(this, offset, length)
  }

  async readInto(target: Uint8Array, offset: number): Promise<void> {
    checkRange(this, offset, target.length)
    const taken = this.#turn.then(async () => await this.#take(target, offset))
    this.#turn = taken.catch(() => {})
    await taken
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#response.destroy()
  }

  async #take(target: Uint8Array, offset: number): Promise<void> {
    try {
      if (offset < this.#at) await this.#beginAgain()
      while (this.#at < offset) await this.#advance(offset - this.#at)
      for (let done = 0; done < target.length;) {
        const bytes = await this.#advance(target.length - done)
        target.set(bytes, done)
        done += bytes.length
      }
    } catch (error) {
      this.#at = Infinity // where it stands now is no use to the next reader
      this.#response.destroy()
      throw asWebFailure(error)
    }
  }

  /** The next bytes, at most so many. */
  async #advance(most: number): Promise<Buffer> {
    if (this.#rest.length === 0) this.#rest = await this.#nextChunk()
    const bytes = this.#rest.subarray(0, most)
    this.#rest = this.#rest.subarray(bytes.length)
    this.#at += bytes.length
    return bytes
  }

  /** The server may not be silent while we wait; while nobody reads it has nothing to say. */
  async #nextChunk(): Promise<Buffer> {
    this.#response.setTimeout(this.#silenceMs)
    const { done, value } = await this.#chunks.next()
    this.#response.setTimeout(0)
    if (done) throw new Error('the connection ended before the content')
    return value
  }

  async #beginAgain(): Promise<void> {
    this.#response.destroy()
    const response = await this.#ask({})
    checkSame(this.#content, response)
    this.#response = response
    this.#chunks = this.#listen(response)
    this.#rest = Buffer.alloc(0)
    this.#at = 0
  }

  #listen(response: IncomingMessage): AsyncIterator<Buffer> {
    response.setTimeout(0)
    response.on('error', () => {}) // who reads is told by the chunks
    return (response as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  }
}
