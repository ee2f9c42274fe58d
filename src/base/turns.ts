import { Failure } from './failure.ts'

/** Work of which only so much may be under way at a time: the others wait in line. */
export class Turns {
  #free: number
  readonly #line: (() => void)[] = []

  constructor(most: number) {
    this.#free = most
  }

  /** A turn, to be given back. Fails with INTERRUPTED when the signal is aborted before it comes. */
  async take(signal: AbortSignal): Promise<Disposable> {
    if (signal.aborted) throw interrupted()
    if (this.#free > 0) this.#free--
    else await this.#wait(signal)
    let isOver = false
    return {
      [Symbol.dispose]: () => {
        if (isOver) return
        isOver = true
        const next = this.#line.shift()
        if (next === undefined) this.#free++
        else next()
      },
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = () => {
      this.#line.splice(this.#line.indexOf(resolve), 1)
      reject(interrupted())
    }
    signal.addEventListener('abort', leave, { once: true })
    this.#line.push(resolve)
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }
}

function interrupted(): Failure {
  return new Failure('INTERRUPTED', 'interrupted while waiting in line')
}
