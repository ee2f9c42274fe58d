/** A byte stream in which the other side sets marks that nobody else can: they hold a nonce. */

/** Begins every mark: a byte that text hardly holds, so that little output is held back for it. */
const MARK_BYTE = 0x1e
/** A mark with its words; a longer one is cut, so that nobody can make us keep more. */
const MAX_LINE = 400

/**
 * Takes a stream in pieces and tells marks from content. A mark is the mark byte, the nonce, a space
 * and words up to the end of the line.
 */
export class MarkedStream {
  readonly #mark: Buffer
  #held = Buffer.alloc(0)

  constructor(nonce: string) {
    this.#mark = Buffer.from(`${String.fromCharCode(MARK_BYTE)}${nonce} `)
  }

  /** Content (as bytes) and words of marks (as text) in order. What may become a mark is held back. */
  push(piece: Uint8Array): (Buffer | string)[] {
    this.#held = Buffer.concat([this.#held, piece])
    const parts: (Buffer | string)[] = []
    for (;;) {
      const at = this.#findMark()
      if (at > 0) parts.push(this.#held.subarray(0, at))
      this.#held = this.#held.subarray(at)
      const line = this.#held.indexOf('\n')
      const whole = this.#held.length >= this.#mark.length
      if (!whole || (line < 0 && this.#held.length < MAX_LINE)) return parts
      const end = line < 0 ? MAX_LINE : line
      parts.push(this.#held.toString('utf8', this.#mark.length, end))
      this.#held = this.#held.subarray(end + 1)
    }
  }

  /** Content that was held back, when nothing more comes. */
  end(): Buffer {
    return this.#held
  }

  /** Where a mark begins, or what may be one at the very end; else the length. */
  #findMark(): number {
    const held = this.#held
    const whole = held.indexOf(this.#mark)
    if (whole >= 0) return whole
    for (let at = Math.max(0, held.length - this.#mark.length + 1); at < held.length; at++)
      if (held.subarray(at).equals(this.#mark.subarray(0, held.length - at))) return at
    return held.length
  }
}
