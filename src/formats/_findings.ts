import { type Finding, type FindingCode, FINDINGS } from './finding.ts'
import type { About } from './parser.ts'

/** Findings that are kept, so that a hostile file cannot fill the memory with its faults. */
const MAX_FINDINGS = 100

/** What an inspection has found so far, in the order in which it was found, nothing twice. */
export class FindingList {
  readonly #all: Finding[] = []
  #refused = false

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
    const known = this.#all.some(
      ({ code, at, found }) =>
        code === finding.code && at === finding.at && found === finding.found,
    )
    if (!known && this.#all.length < MAX_FINDINGS) this.#all.push(finding)
  }
}
