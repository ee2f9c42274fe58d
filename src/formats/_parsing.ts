import { isFailure } from '../base/failure.ts'
import { Fields } from '../bytes/fields.ts'
import { UsedSpace } from './_used-space.ts'
import { type Finding, FINDINGS } from './finding.ts'
import {
  type About,
  type Ask,
  type DiskParser,
  type Extent,
  type Limits,
  MAX_ASK,
  MAX_TAIL,
  type Parse,
  type ParsedDisk,
  type Parsing,
} from './parser.ts'

/** Findings that are kept; of those behind them only the number is. */
const MAX_FINDINGS = 100
/** Claims and extents between two looks at the clock. */
const CLOCK_EVERY = 4096

/** What a parser has learned, whole or up to where it stopped. */
export interface Parsed {
  /** Undefined when the parser was stopped. */
  readonly disk: ParsedDisk | undefined
  readonly findings: readonly Finding[]
  /** How many more findings there were than are listed. */
  readonly more: number
  /** Whether nothing was found that refuses the image. */
  readonly safe: boolean
}

/** What a driver wants to hear while its parser works. */
export interface Listener {
  /** An extent was announced. */
  extent?(extent: Extent): void
  /** These bytes of the file hold something; the driver may drop them when they pass. */
  claimed?(host: number, length: number): void
}

/** Thrown through a parser to end it; what there is to say stands in a finding. */
class Stopped extends Error {}

/**
 * One parser at work on one file, without a way to its bytes: a driver asks for the `next` ask,
 * brings the bytes, and in the end asks for the result. Findings come in the order in which they
 * were made, and what depends on the end of the file comes last, so every driver gets the same.
 */
export class ParserRun {
  readonly #findings: Finding[] = []
  readonly #used = new UsedSpace()
  readonly #limits: Limits
  readonly #now: () => Date
  readonly #deadline: number
  readonly #parse: Parse
  #more = 0
  #refused = false
  #fileSize: number | undefined
  #disk: ParsedDisk | undefined
  #ended = false
  /** The claim that reaches farthest, and the entry that makes it. */
  #farthest = { end: 0, what: '', from: 0 }
  #sinceClock = 0

  constructor(
    parser: DiskParser,
    options: {
      limits: Limits
      now?: () => Date
      fileSize?: number | undefined
      listener?: Listener
    },
  ) {
    this.#fileSize = options.fileSize
    this.#limits = options.limits
    this.#now = options.now ?? (() => new Date())
    this.#deadline = this.#now().getTime() + options.limits.timeMs
    this.#parse = parser.parse(this.#makeParsing(options.listener ?? {}))
  }

  /** The size of the file, as soon as a driver knows it. */
  get fileSize(): number | undefined {
    return this.#fileSize
  }

  set fileSize(size: number | undefined) {
    this.#fileSize = size
  }

  /** Whether something was found that refuses the image. */
  get refused(): boolean {
    return this.#refused
  }

  /** Whether the parser wants nothing more. */
  get ended(): boolean {
    return this.#ended
  }

  /**
   * Goes on with the bytes of the last ask (none at the first call), up to the next ask; undefined
   * when the parser ended.
   */
  next(bytes?: Uint8Array, ask?: Ask): Ask | undefined {
    if (this.#ended) return undefined
    try {
      this.#checkClock()
      const given = bytes && ask ? [this.#fieldsOf(bytes, ask)] : []
      const step = this.#parse.next(...(given as [Fields]))
      if (!step.done) return checkAsk(step.value)
      this.#disk = step.value
    } catch (error) {
      this.#stopFor(error)
    }
    this.#ended = true
    return undefined
  }

  /**
   * Ends the parser because the file does not hold what it asks for. Where a claim says that it
   * should, the finding is about that claim.
   */
  truncated(ask: Ask, fileSize: number): void {
    if (this.#farthest.end <= fileSize)
      this.#add('TRUNCATED', {
        at: ask.at < 0 ? Math.max(0, fileSize + ask.at) : ask.at,
        expected: `${ask.name} of ${ask.length} bytes`,
        found: `a file of ${fileSize} bytes`,
      })
    this.abort()
  }

  /** Ends the parser without a word. */
  abort(): void {
    if (this.#ended) return
    this.#ended = true
    this.#parse.return({ virtualSize: 0 })
  }

  /** Records a finding of the driver's own. */
  note(code: Finding['code'], about: About): void {
    this.#add(code, about)
  }

  /** What was learned of a file of `fileSize` bytes. */
  finish(fileSize: number): Parsed {
    const { end, what, from } = this.#farthest
    if (end > fileSize)
      this.#add('TRUNCATED', {
        at: from,
        expected: `${what} up to byte ${end}`,
        found: `a file of ${fileSize} bytes`,
      })
    return {
      disk: this.#disk,
      findings: this.#findings,
      more: this.#more,
      safe: !this.#refused && this.#disk !== undefined,
    }
  }

  #makeParsing(listener: Listener): Parsing {
    const fileSize = () => this.#fileSize
    return {
      get fileSize() {
        return fileSize()
      },
      limits: this.#limits,
      note: (code, about) => this.#add(code, about),
      stop: (code, about) => {
        this.#add(code, about)
        throw new Stopped()
      },
      claim: (host, length, what, from) => {
        this.#count()
        if (!this.#claim(host, length, what, from)) return false
        listener.claimed?.(host, length)
        return true
      },
      announce: (extent) => {
        this.#count()
        listener.extent?.(extent)
      },
    }
  }

  #claim(host: number, length: number, what: string, from: number): boolean {
    if (host < 0 || !(host <= Number.MAX_SAFE_INTEGER) || Number.isNaN(length) || length < 0) {
      this.#add('OUT_OF_RANGE', { at: from, found: `${what} of ${length} bytes at byte ${host}` })
      return false
    }
    const end = host + length
    if (!this.#used.take(host, end)) {
      this.#add('OVERLAP', {
        at: from,
        found: `${what} at bytes ${host} to ${end}, which hold something else as well`,
      })
      return false
    }
    if (this.#used.isFull) {
      this.#add('LIMIT_REACHED', { at: from, found: 'content in too many scattered pieces' })
      throw new Stopped()
    }
    if (end !== Infinity && end > this.#farthest.end) this.#farthest = { end, what, from }
    return true
  }

  #fieldsOf(bytes: Uint8Array, ask: Ask): Fields {
    const start = ask.at < 0 ? (this.#fileSize ?? 0) + ask.at : ask.at
    return new Fields(bytes, { name: ask.name, start, order: ask.order ?? 'little' })
  }

  /** Our own endings; and what `Fields` throws at numbers that no structure can hold. */
  #stopFor(error: unknown): void {
    if (error instanceof Stopped) return
    if (!isFailure(error, 'IMAGE_UNSAFE')) throw error
    const offset = error.details['offset']
    this.#add('OUT_OF_RANGE', {
      ...(typeof offset === 'number' ? { at: offset } : {}),
      found: error.message,
    })
  }

  #count(): void {
    if (++this.#sinceClock < CLOCK_EVERY) return
    this.#sinceClock = 0
    this.#checkClock()
  }

  #checkClock(): void {
    if (this.#now().getTime() <= this.#deadline) return
    this.#add('LIMIT_REACHED', { found: `more than ${this.#limits.timeMs} ms of work` })
    throw new Stopped()
  }

  #add(code: Finding['code'], about: About): void {
    const severity = about.severity ?? FINDINGS[code].severity
    if (severity === 'refuse') this.#refused = true
    if (this.#findings.length < MAX_FINDINGS) this.#findings.push({ ...about, code, severity })
    else this.#more++
  }
}

function checkAsk(ask: Ask): Ask {
  const { at, length, name } = ask
  const valid = Number.isSafeInteger(at) && Number.isSafeInteger(length) && length >= 0
  if (!valid || length > MAX_ASK || at < -MAX_TAIL || (at < 0 && at + length > 0))
    throw new RangeError(`a parser may not ask for ${length} bytes at byte ${at} (${name})`)
  return ask
}
