/** What a job tells, until it is written: entries in order, with secrets masked, bounded. */
import type { NewEntry } from './_log-table.ts'
import type { Mask } from './_mask.ts'
import { plainText } from './_plain-text.ts'
import type { BuildLog, LogKind } from '../build-log.ts'

/** Entries that wait, and bytes of what was too much. */
export interface TakenEntries {
  readonly entries: readonly NewEntry[]
  readonly lost: number
  /** Characters of `entries`. */
  readonly size: number
}

/** Characters of an entry; of what waits at all: what is more is lost. */
const ENTRY = 32 * 1024
const TOO_MUCH = 4 * 1024 * 1024

export class PendingLog {
  /** Where it is told. */
  readonly log: BuildLog = {
    event: (text) => this.#tell('event', text),
    output: (piece) => this.#tell('output', piece),
    console: (piece) => {
      const isText = typeof piece === 'string'
      this.#tell('console', isText ? piece : this.#decoder.decode(piece, { stream: true }))
    },
  }
  readonly #mask: Mask
  readonly #now: () => Date
  readonly #onNews: () => void
  readonly #decoder = new TextDecoder()
  #entries: NewEntry[] = []
  #size = 0
  #lost = 0
  /** By kind: the end of what came, with which a secret may begin. */
  readonly #held = new Map<LogKind, string>()
  #isClosed = false

  constructor(mask: Mask, now: () => Date, onNews: () => void) {
    this.#mask = mask
    this.#now = now
    this.#onNews = onNews
  }

  /** Characters that wait. */
  get size(): number {
    return this.#size
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0 && this.#lost === 0
  }

  /** What waits; from now on it does not. */
  take(): TakenEntries {
    const taken = { entries: this.#entries, lost: this.#lost, size: this.#size }
    this.#entries = []
    this.#lost = 0
    this.#size = 0
    return taken
  }

  /** What was taken, and could not be written. */
  putBack({ entries, lost, size }: TakenEntries): void {
    this.#entries = [...entries, ...this.#entries]
    this.#lost += lost
    this.#size += size
  }

  /** Nothing more comes: the ends of streams are told as they are. */
  release(): void {
    for (const [kind, text] of this.#held) this.#add(kind, this.#mask.apply(text))
    this.#held.clear()
  }

  /** Whoever was left behind has nothing to say any more. */
  close(): void {
    this.#isClosed = true
  }

  #tell(kind: LogKind, text: string): void {
    const held = (this.#held.get(kind) ?? '') + plainText(text)
    // An event is whole; of a stream the end may be the beginning of a secret.
    const open = kind === 'event' ? held.length : this.#mask.openEnd(held)
    this.#held.set(kind, held.slice(open))
    this.#add(kind, this.#mask.apply(held.slice(0, open)))
  }

  #add(kind: LogKind, text: string): void {
    if (text === '' || this.#isClosed) return
    if (this.#size + text.length > TOO_MUCH) {
      this.#lost += Buffer.byteLength(text)
      return
    }
    const at = this.#now()
    this.#size += text.length
    const last = this.#entries.at(-1)
    if (last && kind !== 'event' && last.kind === kind && last.text.length + text.length <= ENTRY)
      this.#entries[this.#entries.length - 1] = { ...last, text: last.text + text }
    else
      for (let from = 0; from < text.length; from += ENTRY)
        this.#entries.push({ at, kind, text: text.slice(from, from + ENTRY).toWellFormed() })
    this.#onNews()
  }
}
