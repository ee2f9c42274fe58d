/** A clock that stands until it is moved; alarms ring on the way, in their order. */
export class FakeTimers {
  #now = 0
  readonly #alarms = new Set<{ at: number; work: () => void }>()

  readonly now = (): number => this.#now

  after(ms: number, work: () => void): () => void {
    const alarm = { at: this.#now + Math.max(0, ms), work }
    this.#alarms.add(alarm)
    return () => void this.#alarms.delete(alarm)
  }

  advance(ms: number): void {
    const end = this.#now + ms
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#now = next.at
      this.#alarms.delete(next)
      next.work()
    }
    this.#now = end
  }

  /** As when a process dies: nothing rings any more. */
  stop(): void {
    this.#alarms.clear()
  }

  #next(end: number) {
    let next: { at: number; work: () => void } | undefined
    for (const alarm of this.#alarms)
      if (alarm.at <= end && (!next || alarm.at < next.at)) next = alarm
    return next
  }
}
