import type { DiskViews } from '../formats/disk-views.ts'

/** The disk inside an image, open, with what views are made of. */
export interface OpenGolden {
  readonly views: DiskViews
  close(): Promise<void>
}

/** One that somebody uses; letting go of it is all there is to do. */
export interface GoldenUse extends AsyncDisposable {
  readonly golden: OpenGolden
}

interface Entry {
  readonly opening: Promise<OpenGolden>
  uses: number
  idle: NodeJS.Timeout | undefined
}

/** Those that nobody uses are closed after so long: an image that was deleted gives its room free then. */
const IDLE_MS = 30_000
/** Those that nobody uses are at most so many. */
const MOST_IDLE = 32

/**
 * Goldens that are open: each once, however many use it, and a moment longer, since ranges of one image are
 * asked for one after the other.
 */
export class OpenGoldens implements AsyncDisposable {
  readonly #entries = new Map<string, Entry>()
  readonly #closing = new Set<Promise<void>>()

  /** Fails as `open` does; asked again after that, it is tried again. */
  async use(name: string, open: () => Promise<OpenGolden>): Promise<GoldenUse> {
    let entry = this.#entries.get(name)
    if (entry === undefined) {
      entry = { opening: open(), uses: 0, idle: undefined }
      entry.opening.catch(() => {}) // told below
    } else this.#entries.delete(name)
    this.#entries.set(name, entry) // those that were used last stand last
    clearTimeout(entry.idle)
    entry.uses++
    const used = entry
    try {
      const golden = await entry.opening
      let isDone = false
      const done = async () => {
        if (!isDone) this.#leave(name, used)
        isDone = true
      }
      return { golden, [Symbol.asyncDispose]: done }
    } catch (error) {
      if (this.#entries.get(name) === entry) this.#entries.delete(name)
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [name, entry] of this.#entries) this.#close(name, entry)
    await Promise.all(this.#closing)
  }

  #leave(name: string, entry: Entry): void {
    entry.uses--
    if (entry.uses > 0) return
    if (this.#entries.get(name) !== entry) return this.#close(name, entry)
    entry.idle = setTimeout(() => this.#close(name, entry), IDLE_MS).unref()
    const idle = [...this.#entries].filter(([, { uses }]) => uses === 0)
    for (const [oldest, one] of idle.slice(0, -MOST_IDLE)) this.#close(oldest, one)
  }

  #close(name: string, entry: Entry): void {
    clearTimeout(entry.idle)
    if (this.#entries.get(name) === entry) this.#entries.delete(name)
    const closing = entry.opening
      .then(
        (golden) => golden.close(),
        () => {},
      )
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }
}
