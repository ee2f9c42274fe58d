import type { Service } from '../app/service.ts'
import { messageOf } from '../base/failure.ts'
import type { ImageCount } from '../images/catalog.ts'

interface Counted {
  readonly catalog: Pick<Service['catalog'], 'counts'>
  readonly context: Service['context']
}

/** A count of many images takes a while: whoever asks more often is told what was counted before. */
const FRESH_MS = 60_000

/** Images by status and visibility, as they were a minute ago at most; while they are counted again, as they were. */
export class ImageCounts {
  readonly #service: Counted
  #counts: readonly ImageCount[] | undefined
  #countedAt = -Infinity
  #counting: Promise<void> | undefined

  constructor(service: Counted) {
    this.#service = service
  }

  /** While the database is away there are none to tell. */
  async read(): Promise<readonly ImageCount[]> {
    const now = this.#service.context.now().getTime()
    if (this.#counting === undefined && now - this.#countedAt >= FRESH_MS) {
      this.#countedAt = now
      this.#counting = this.#count().finally(() => (this.#counting = undefined))
    }
    if (this.#counts === undefined) await this.#counting
    return this.#counts ?? []
  }

  async #count(): Promise<void> {
    const { catalog, context } = this.#service
    try {
      this.#counts = await catalog.counts()
    } catch (error) {
      this.#counts = undefined
      this.#countedAt = -Infinity
      context.log.warn('metrics.no-images', { error: messageOf(error) })
    }
  }
}
