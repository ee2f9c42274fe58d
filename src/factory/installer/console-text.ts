/**
 * What is legible of a console on which dialogs are drawn: pieces of text that the cursor was moved between become
 * lines. Any bytes, in any chunks, bounded in memory.
 */

// oxlint-disable-next-line no-control-regex -- control characters are what is taken out
const MOVES = /\x1b\[[0-9;]*[HfdABCDEFG]|\x1b[DEM78c]|\x1b\[[0-9;]*[Jr]/g
/** Lines and corners of boxes, which are letters of another alphabet. */
// oxlint-disable-next-line no-control-regex -- control characters are what is taken out
const BOXES = /\x0e[^\x0f\x1b]*\x0f?|\x1b\(0[^\x1b]*(?:\x1b\(B)?|[─-╿]+/g
// oxlint-disable-next-line no-control-regex -- control characters are what is taken out
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[()#][0-9A-Za-z]|[ -~])/g
// oxlint-disable-next-line no-control-regex -- control characters are what is taken out
const CONTROLS = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g
/** An escape sequence whose end may be yet to come. */
// oxlint-disable-next-line no-control-regex -- control characters are what is taken out
const OPEN_ESCAPE = /\x1b(?:\[[0-?]*[ -/]*|[()#]|\][^\x07\x1b]{0,200})?$/

/** The line with which GNU screen, below debian-installer, tells the time every minute. */
const CLOCK = /^\s*\[[^\n]{3,150}\]\[[^\n\]]{1,30}\d?\d:\d\d \]\s*$/

const MAX_LINE = 1000
const MAX_BURST = 8192
const MAX_TAIL = 400

/** Text without escape sequences; each move of the cursor begins a line. */
export function toLegible(text: string): string {
  return text
    .replaceAll(MOVES, '\n')
    .replaceAll(BOXES, ' ')
    .replaceAll(ESCAPES, '')
    .replaceAll(CONTROLS, '')
}

export class ConsoleText {
  readonly #decoder = new TextDecoder()
  readonly #tail: string[] = []
  #held = ''
  #line = ''
  #burst = ''
  /** What a clock is printed after, in a pause. */
  #beforeClock = ''
  #lastAtMs = 0

  /** Lines that these bytes complete, empty ones left out. A silence of `gapMs` before them begins a burst. */
  push(chunk: Uint8Array, atMs: number, gapMs = 2000): string[] {
    if (atMs - this.#lastAtMs >= gapMs) {
      this.#beforeClock = this.burst
      this.#burst = ''
    }
    this.#lastAtMs = atMs
    const raw = this.#held + this.#decoder.decode(chunk, { stream: true })
    this.#held = OPEN_ESCAPE.exec(raw)?.[0] ?? ''
    const text = toLegible(raw.slice(0, raw.length - this.#held.length))
    this.#burst = (this.#burst + text).slice(-MAX_BURST)
    const pieces = (this.#line + text).split(/[\r\n]+/)
    this.#line = (pieces.pop() ?? '').slice(-MAX_LINE)
    const lines = pieces.map((piece) => piece.trim().slice(0, MAX_LINE)).filter(Boolean)
    this.#tail.push(...lines)
    if (this.#tail.length > 2 * MAX_TAIL) this.#tail.splice(0, this.#tail.length - MAX_TAIL)
    return lines
  }

  /** What was printed last without a pause: a dialog, a prompt. That a clock goes on changes nothing of it. */
  get burst(): string {
    return this.isClock ? this.#beforeClock : this.#burst
  }

  /** Whether nothing but a clock has been printed since the last pause. */
  get isClock(): boolean {
    return CLOCK.test(this.#burst)
  }

  /** The last lines, the unfinished one too. */
  tail(count: number): string[] {
    return [...this.#tail, this.#line.trim()].filter(Boolean).slice(-count)
  }
}
