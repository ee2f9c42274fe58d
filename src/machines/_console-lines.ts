const MAX_LINE = 1000
const KEPT_AT_START = 100
const KEPT_AT_END = 1000

/**
 * Lines out of what a console prints, without colours and cursor moves: any bytes, in any chunks,
 * bounded in memory. A line ends at a line feed or a carriage return; what is longer than 1000
 * characters is cut there. The first 100 and the last 1000 lines are kept.
 */
export class ConsoleLines {
  readonly #decoder = new TextDecoder()
  readonly #first: string[] = []
  readonly #last: string[] = []
  #pending = ''

  /** The lines that these bytes complete. */
  push(chunk: Uint8Array): string[] {
    const pieces = this.#decoder.decode(chunk, { stream: true }).split(/[\r\n]/)
    const lines: string[] = []
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) this.#complete(lines)
      // Room for escape sequences, which are taken out at the end, when they are whole.
      this.#pending = (this.#pending + piece).slice(0, 4 * MAX_LINE)
    }
    return lines
  }

  /** What has come of a line that has not ended: a prompt, for example. */
  get unfinished(): string {
    return toPlain(this.#pending)
  }

  /** The last lines, the unfinished one too, without empty ones. */
  tail(count: number): string[] {
    const lines = [...this.#first, ...this.#last, this.unfinished]
    return lines.filter((line) => line !== '').slice(-count)
  }

  #complete(lines: string[]): void {
    const line = this.unfinished
    this.#pending = ''
    if (line === '') return
    lines.push(line)
    if (this.#first.length < KEPT_AT_START) return void this.#first.push(line)
    this.#last.push(line)
    if (this.#last.length > 2 * KEPT_AT_END) this.#last.splice(0, KEPT_AT_END)
  }
}

// oxlint-disable-next-line no-control-regex -- control characters are what is taken out
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[()#][0-9A-Za-z]|[ -~])/g
// oxlint-disable-next-line no-control-regex -- control characters are what is taken out
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g

/** Text without terminal escape sequences and control characters. */
function toPlain(text: string): string {
  return text.replaceAll(ESCAPES, '').replaceAll(CONTROLS, '').trimEnd().slice(0, MAX_LINE)
}
