/** Hides secrets in what is told: also one that comes in two pieces. What it costs grows with the text, not with the secrets. */

export const MASK = '***'
/** Shorter ones would blot out words that are none. */
const MIN_LENGTH = 4
/** Of a text of several lines (a key), each of these is one too: a console breaks them anew. */
const MIN_LINE = 12
/** Longer ones are hidden by pieces of so many characters, so that few have to be held back of a text that goes on. */
const MAX_LENGTH = 256
/** Of texts that are longer nobody makes addresses or JSON. */
const MAX_ENCODED = 4096

type Span = readonly [start: number, end: number]

export class Mask {
  readonly #forms = new Set<string>()
  #index: FormIndex | undefined

  add(secret: string): void {
    for (const form of formsOf(secret)) this.#forms.add(form)
    this.#index = undefined
  }

  apply(text: string): string {
    let shown = ''
    let from = 0
    for (const [start, end] of this.#matches(text)) {
      shown += text.slice(from, start) + MASK
      from = end
    }
    return from === 0 ? text : shown + text.slice(from)
  }

  /** All texts of a structure. */
  applyTo<T>(value: T): T {
    if (this.#forms.size === 0) return value
    // What went in as JSON comes out as JSON of the same shape: a secret is never part of its syntax.
    return JSON.parse(JSON.stringify(value), (_key, one: unknown) =>
      typeof one === 'string' ? this.apply(one) : one,
    ) as T
  }

  /** Where the end of a piece begins with which a secret may begin that goes on in the next one. */
  openEnd(text: string): number {
    const index = this.#indexed()
    const { longest } = index
    // What ends before the last `longest` characters has no say in it.
    const from = Math.max(0, text.length - 2 * longest)
    const end = text.slice(from)
    const whole = this.#matches(end)
    for (let at = Math.max(0, end.length - longest + 1); at < end.length; at++) {
      if (whole.some(([start, stop]) => start < at && at < stop)) continue
      if (index.goesOn(end.slice(at))) return from + at
    }
    return text.length
  }

  /** From left to right, the longest at each place; those that overlap are one. */
  #matches(text: string): Span[] {
    const spans: Span[] = []
    if (this.#forms.size === 0) return spans
    const index = this.#indexed()
    for (let at = 0; at <= text.length - MIN_LENGTH; at++) {
      const end = at + index.lengthAt(text, at)
      const last = spans.at(-1)
      if (end === at || (last && end <= last[1])) continue
      if (last && at < last[1]) spans[spans.length - 1] = [last[0], end]
      else spans.push([at, end])
    }
    return spans
  }

  #indexed(): FormIndex {
    return (this.#index ??= new FormIndex(this.#forms))
  }
}

/** What secrets look like, in the order of their characters: what begins alike stands together. */
class FormIndex {
  readonly longest: number
  readonly #sorted: readonly string[]
  /** Of each the longest that it begins with. */
  readonly #within: readonly number[]
  readonly #beginnings: ReadonlySet<string>

  constructor(forms: ReadonlySet<string>) {
    this.#sorted = [...forms].toSorted((a, b) => (a < b ? -1 : 1))
    this.longest = this.#sorted.reduce((most, { length }) => Math.max(most, length), 0)
    this.#beginnings = new Set(this.#sorted.map((form) => form.slice(0, MIN_LENGTH)))
    const within: number[] = []
    for (const [at, form] of this.#sorted.entries()) {
      let outer = at - 1
      while (outer >= 0 && !form.startsWith(this.#sorted[outer] ?? '')) outer = within[outer] ?? -1
      within.push(outer)
    }
    this.#within = within
  }

  /** Of the longest one that stands there; 0: none does. */
  lengthAt(text: string, at: number): number {
    if (!this.#beginnings.has(text.slice(at, at + MIN_LENGTH))) return 0
    const rest = text.slice(at, at + this.longest)
    let found = this.#firstAfter(rest) - 1
    while (found >= 0 && !rest.startsWith(this.#sorted[found] ?? ''))
      found = this.#within[found] ?? -1
    return found < 0 ? 0 : (this.#sorted[found] ?? '').length
  }

  /** Whether one begins with this text, and is longer. */
  goesOn(text: string): boolean {
    return this.#sorted[this.#firstAfter(text)]?.startsWith(text) ?? false
  }

  /** The place of the first that comes behind a text. */
  #firstAfter(text: string): number {
    let [low, high] = [0, this.#sorted.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#sorted[middle] ?? '') <= text) low = middle + 1
      else high = middle
    }
    return low
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
  const encoded =
    secret.length > MAX_ENCODED
      ? []
      : [encodeURIComponent(secret.toWellFormed()), JSON.stringify(secret).slice(1, -1)]
  const parts = lines.length > 1 ? lines.filter((line) => line.length >= MIN_LINE) : []
  return [secret, secret.trim(), ...encoded, ...parts]
    .flatMap(inPieces)
    .filter((form) => form.length >= MIN_LENGTH)
}

function inPieces(form: string): string[] {
  if (form.length <= MAX_LENGTH) return [form]
  const count = Math.ceil(form.length / MAX_LENGTH)
  return Array.from({ length: count }, (_, at) =>
    form.slice(at * MAX_LENGTH, (at + 1) * MAX_LENGTH),
  )
}
