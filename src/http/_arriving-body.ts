import type { IncomingMessage } from 'node:http'
import { Failure } from '../base/failure.ts'
import { KiB, MiB } from '../base/units.ts'

/** What may wait to be taken before the client is held up: a moment's worth. */
const MOST_WAITING = 1 * MiB
/** What one body may bring before others have their turn: requests wait no longer than this takes. */
const TURN = 64 * KiB

/**
 * The body of a request, from the moment this is made. All parts that have arrived are taken at once, each as it
 * came, so that hundreds of MiB a second do not wait for one another part by part (the stream's own
 * iterator copies parts together, and stops and starts the socket for each).
 */
export class ArrivingBody implements Disposable {
  readonly #raw: IncomingMessage
  #parts: Buffer[] = []
  #waiting = 0
  /** What came since others had their turn. */
  #inTurn = 0
  #state: 'arriving' | 'whole' | Failure = 'arriving'
  #wake: () => void = () => {}

  constructor(raw: IncomingMessage) {
    this.#raw = raw
    raw.on('end', this.#end).on('close', this.#break).on('error', this.#break)
    if (raw.readableEnded) this.#end()
    else if (raw.destroyed) this.#break()
    else raw.on('data', this.#add)
  }

  /** Whether `take` has to wait for the client. */
  get isLate(): boolean {
    return this.#parts.length === 0 && this.#state === 'arriving'
  }

  /** What has arrived, as soon as that is something; nothing: it was all. Fails with READER_GONE. */
  async take(): Promise<readonly Buffer[]> {
    if (this.isLate) {
      if (this.#raw.isPaused() && this.#inTurn < TURN) this.#raw.resume()
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
    if (this.#parts.length === 0 && this.#state instanceof Failure) throw this.#state
    const parts = this.#parts
    this.#parts = []
    this.#waiting = 0
    return parts
  }

  /** What still comes is left to who reads it then; the connection stays. */
  [Symbol.dispose](): void {
    this.#raw.off('data', this.#add).off('end', this.#end).off('close', this.#break)
    this.#raw.pause()
    // The last listener for errors stays, since one that nobody hears would end the process.
  }

  readonly #add = (part: Buffer): void => {
    this.#parts.push(part)
    this.#waiting += part.length
    this.#inTurn += part.length
    if (this.#inTurn === part.length) setImmediate(this.#endTurn)
    if (this.#waiting >= MOST_WAITING || this.#inTurn >= TURN) this.#raw.pause()
    this.#wake()
  }

  readonly #endTurn = (): void => {
    this.#inTurn = 0
    if (this.isLate && this.#raw.isPaused()) this.#raw.resume()
  }

  readonly #end = (): void => {
    if (this.#state === 'arriving') this.#state = 'whole'
    this.#wake()
  }

  readonly #break = (cause?: Error): void => {
    if (this.#state === 'arriving')
      this.#state = new Failure('READER_GONE', 'the client left before the body was whole', {
        cause,
      })
    this.#wake()
  }
}
