/** Hides secrets in what is told: also one that comes in two pieces. */

export const MASK = '***'
/** Shorter ones would blot out words that are none. */
const MIN_LENGTH = 4
/** Of a text of several lines (a key), each of these is one too: a console breaks them anew. */
const MIN_LINE = 12

export class Mask {
  /** Longest first, so that none is left in part. */
  #secrets: string[] = []

  add(secret: string): void {
    const all = new Set(this.#secrets)
    for (const form of formsOf(secret)) all.add(form)
    this.#secrets = [...all].toSorted((a, b) => b.length - a.length)
  }

  apply(text: string): string {
    let shown = text
    for (const secret of this.#secrets)
      if (shown.includes(secret)) shown = shown.replaceAll(secret, MASK)
    return shown
  }

  /** All texts of a structure. */
  applyTo<T>(value: T): T {
    if (this.#secrets.length === 0) return value
    // What went in as JSON comes out as JSON of the same shape: a secret is never part of its syntax.
    return JSON.parse(JSON.stringify(value), (_key, one: unknown) =>
      typeof one === 'string' ? this.apply(one) : one,
    ) as T
  }

  /** Where the end of a piece begins with which a secret may begin that goes on in the next one. */
  openEnd(text: string): number {
    const longest = this.#secrets[0]?.length ?? 0
    const whole = this.#matches(text)
    for (let at = Math.max(0, text.length - longest + 1); at < text.length; at++) {
      if (whole.some(([start, end]) => start < at && at < end)) continue
      const rest = text.slice(at)
      if (this.#secrets.some((one) => one.length > rest.length && one.startsWith(rest))) return at
    }
    return text.length
  }

  #matches(text: string): [start: number, end: number][] {
    if (this.#secrets.length === 0) return []
    const any = this.#secrets
      .map((one) => one.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'))
      .join('|')
    return [...text.matchAll(new RegExp(any, 'g'))].map(({ index, 0: found }) => [
      index,
      index + found.length,
    ])
  }
}

/** Everything in a structure that is text. */
export function* textsOf(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (typeof value === 'object' && value !== null)
    for (const one of Object.values(value)) yield* textsOf(one)
}

/** As it is, and as it stands in an address, in JSON, in a line of a console. */
function formsOf(secret: string): string[] {
  const lines = secret.split(/\r?\n/).map((line) => line.trim())
  const whole = [secret, secret.trim(), encodeURIComponent(secret.toWellFormed())]
  const json = JSON.stringify(secret).slice(1, -1)
  const parts = lines.length > 1 ? lines.filter((line) => line.length >= MIN_LINE) : []
  return [...whole, json, ...parts].filter((form) => form.length >= MIN_LENGTH)
}
