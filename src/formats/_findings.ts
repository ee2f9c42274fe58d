import { type Finding, type FindingCode, FINDINGS } from './finding.ts'
import type { About } from './parser.ts'

/** Findings that are kept, so that a hostile file cannot fill the memory with its faults. */
const MAX_FINDINGS = 100

/** What an inspection has found so far, in the order in which it was found, nothing twice. */
export class FindingList {
  readonly #all: Finding[] = []
  readonly #outer: { list: FindingList; at: number; name: string } | undefined
  #refused = false

  /** With `outer`: findings about a part of something, which stands at `at` there, are told there. */
  constructor(outer?: { list: FindingList; at: number; name: string }) {
    this.#outer = outer
  }

  get all(): readonly Finding[] {
    return this.#all
  }

  /** Whether something was found for which the image is refused. */
  get refused(): boolean {
    return this.#refused
  }

  /** Records a finding, as grave as the table says unless told otherwise. */
  note(code: FindingCode, about: About = {}): void {
    this.add({ ...about, code, severity: about.severity ?? FINDINGS[code].severity })
  }

  add(finding: Finding): void {
    if (finding.severity === 'refuse') this.#refused = true
    this.#outer?.list.add(this.#seenFromOutside(finding, this.#outer))
    const known = this.#all.some(
      ({ code, at, found }) =>
        code === finding.code && at === finding.at && found === finding.found,
    )
    if (!known && this.#all.length < MAX_FINDINGS) this.#all.push(finding)
  }

  #seenFromOutside(finding: Finding, { at, name }: { at: number; name: string }): Finding {
    return {
      ...finding,
      at: at + (finding.at ?? 0),
      found: finding.found === undefined ? `in ${name}` : `${finding.found} (in ${name})`,
    }
  }
}
