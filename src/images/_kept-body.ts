import type { Context } from '../base/context.ts'
import { type Arriving, counted } from './_arriving.ts'

/** A body of which the rest can be taken after its reader has stopped in the middle. */
export class KeptBody implements Disposable {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #arrived = { size: 0 }

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#iterator = stream[Symbol.asyncIterator]()
  }

  /** What has not been read yet; who leaves it early does not end the body. */
  readonly rest: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        const next = await this.#iterator.next()
        if (!next.done) this.#arrived.size += next.value.length
        return next
      },
    }),
  }

  /** Reads the rest, which nobody wants, but holds the whole to what was announced. Fails as `counted` does. */
  async drain(announced: Arriving, context: Pick<Context, 'signal' | 'progress'>): Promise<void> {
    const stream: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({ next: () => this.#iterator.next() }),
    }
    for await (const _ of counted(stream, announced, this.#arrived, context));
  }

  [Symbol.dispose](): void {
    void this.#iterator.return?.()?.catch(() => {}) // one that waits for the client never answers
  }
}
