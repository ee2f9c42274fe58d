/**
 * A few buffers of one size that are used again and again. Whoever finds none waits, in turn: so the
 * buffers also bound how much is under way at a time. They are made when they are first needed.
 */
export class Buffers {
  readonly #size: number
  readonly #spare: Buffer[] = []
  readonly #waiting: ((buffer: Buffer) => void)[] = []
  #left: number

  constructor(count: number, size: number) {
    this.#left = count
    this.#size = size
  }

  async take(): Promise<Buffer> {
    const spare = this.#spare.pop()
    if (spare !== undefined) return spare
    if (this.#left-- > 0) return Buffer.allocUnsafeSlow(this.#size)
    this.#left = 0
    return await new Promise((resolve) => this.#waiting.push(resolve))
  }

  give(buffer: Buffer): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#spare.push(buffer)
    else next(buffer)
  }
}
