import type { Parsing } from '../parser.ts'

/**
 * Joins blocks that follow each other both in the guest's disk and in the file, so that each run of
 * them is claimed and announced once. A run that meets something else is not announced.
 */
export class DataRuns {
  readonly #parsing: Parsing
  readonly #what: string
  readonly #onClaimed: ((host: number, length: number) => void) | undefined
  #guest = 0
  #host = 0
  #length = 0
  #from = 0

  /** `what`: a run in findings. `onClaimed` hears of every run that is good. */
  constructor(parsing: Parsing, what: string, onClaimed?: (host: number, length: number) => void) {
    this.#parsing = parsing
    this.#what = what
    this.#onClaimed = onClaimed
  }

  /** The entry at byte `from` says that these bytes of the disk stand there in the file. */
  add(guest: number, host: number, length: number, from: number): void {
    if (
      guest === this.#guest + this.#length &&
      host === this.#host + this.#length &&
      this.#length > 0
    ) {
      this.#length += length
      return
    }
    this.flush()
    this.#guest = guest
    this.#host = host
    this.#length = length
    this.#from = from
  }

  /** Claims and announces what has come so far. */
  flush(): void {
    const length = this.#length
    if (length === 0) return
    this.#length = 0
    if (!this.#parsing.claim(this.#host, length, this.#what, this.#from)) return
    this.#onClaimed?.(this.#host, length)
    this.#parsing.announce({ kind: 'data', guest: this.#guest, length, host: this.#host })
  }
}
