import type { IncomingMessage } from 'node:http'
import { MiB } from '../base/units.ts'
import { checkRange, type DirectSource, readAnew } from '../bytes/source.ts'
import { Watermark } from '../bytes/watermark.ts'
import {
  asWebFailure,
  type AskContent,
  checkSame,
  conditionOf,
  rangeOf,
  type WebContent,
} from './_web-content.ts'

/** Bytes of the first question at a place; each one that goes on where the last ended asks for twice as many. */
export const FIRST_WINDOW = 1 * MiB
const LARGEST_WINDOW = 4 * MiB
const KEPT_WINDOWS = 3

/** Content of a server that gives ranges: read through windows, which are asked for once for many small reads. */
export class RangedSource implements DirectSource {
  readonly name: string
  readonly size: number
  readonly #content: WebContent
  readonly #ask: AskContent
  /** The one that was made last is last. */
  #windows: Window[] = []
  #open = true

  /** `first`: the answer to the question for the first window. */
  constructor(content: WebContent, ask: AskContent, first: IncomingMessage) {
    this.name = content.url
    this.size = content.size
    this.#content = content
    this.#ask = ask
    const window = new Window(0, Math.min(FIRST_WINDOW, content.size))
    this.#windows.push(window)
    void window.fill(async () => first)
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return await readAnew(this, offset, length)
  }

  async readInto(target: Uint8Array, offset: number): Promise<void> {
    checkRange(this, offset, target.length)
    for (let done = 0; done < target.length;)
      done += await this.#windowAt(offset + done, target.length - done).copy(
        target.subarray(done),
        offset + done,
      )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false
    for (const window of this.#windows) window.end()
  }

  #windowAt(at: number, wanted: number): Window {
    const found = this.#windows.find((window) => window.holds(at))
    if (found) return found
    if (!this.#open) throw new Error(`${this.name} is closed`)
    const last = this.#windows.at(-1)
    const follows = last !== undefined && last.to === at
    const length = Math.max(follows ? 2 * (last.to - last.from) : FIRST_WINDOW, wanted)
    const to = Math.min(at + Math.min(length, LARGEST_WINDOW), this.size)
    const window = new Window(at, to)
    this.#windows = [...this.#windows.slice(1 - KEPT_WINDOWS), window]
    void window.fill(async () => await this.#askFor(at, to))
    return window
  }

  async #askFor(from: number, to: number): Promise<IncomingMessage> {
    const range = { range: `bytes=${from}-${to - 1}` }
    const response = await this.#ask({ ...range, ...conditionOf(this.#content) })
    checkSame(this.#content, response)
    if (response.statusCode === 206 && rangeOf(response)?.start === from) return response
    response.destroy()
    throw new Error(`wanted a range from byte ${from}, and the server gave something else`)
  }
}

/** A part of the content, which may still be on its way. */
class Window {
  readonly from: number
  readonly to: number
  readonly #bytes: Buffer
  readonly #filled = new Watermark()
  #response: IncomingMessage | undefined

  constructor(from: number, to: number) {
    this.from = from
    this.to = to
    this.#bytes = Buffer.allocUnsafeSlow(to - from)
  }

  /** One that broke off is no use: what is wanted of it is asked for again. */
  holds(at: number): boolean {
    return at >= this.from && at < this.to && !this.#filled.hasFailed
  }

  /** Copies what it has of the bytes from `at` on, when they are there; how many those are. */
  async copy(target: Uint8Array, at: number): Promise<number> {
    const start = at - this.from
    const end = Math.min(start + target.length, this.#bytes.length)
    await this.#filled.reach(end)
    target.set(this.#bytes.subarray(start, end))
    return end - start
  }

  async fill(ask: () => Promise<IncomingMessage>): Promise<void> {
    try {
      this.#response = await ask()
      for await (const chunk of this.#response as AsyncIterable<Buffer>) {
        const end = this.#filled.at + chunk.length
        if (end > this.#bytes.length) throw new Error('the server gave more than it was asked for')
        this.#bytes.set(chunk, this.#filled.at)
        this.#filled.advance(end)
      }
      if (this.#filled.at < this.#bytes.length)
        throw new Error('the connection ended before the content')
    } catch (error) {
      this.#response?.destroy()
      this.#filled.fail(asWebFailure(error))
    }
  }

  /** Nobody will read it any more. */
  end(): void {
    this.#response?.destroy()
  }
}
