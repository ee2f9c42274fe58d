/** Places of kinds of work that have their own: who may run, and who waits for one of those to end. */
export class Lanes {
  readonly #most: ReadonlyMap<string, number>
  readonly #lanes = new Map<string, Lane>()

  /** `most`: how many at a time, by type. */
  constructor(most: ReadonlyMap<string, number>) {
    this.#most = most
  }

  /** Whether work of this type has places of its own. */
  has(type: string): boolean {
    return this.#most.has(type)
  }

  /** Types that have no place free. */
  get full(): readonly string[] {
    return [...this.#lanes].flatMap(([type, { size }]) => (size < this.#of(type) ? [] : [type]))
  }

  /**
   * Does the work, if there is a place; else it waits to be offered. Then the next one is offered: the oldest of the
   * owner who has least under way.
   */
  async run(
    { id, type, owner }: { id: string; type: string; owner: string | null },
    work: () => Promise<void>,
    offer: (id: string) => Promise<void>,
  ): Promise<void> {
    const lane = this.#lanes.get(type) ?? new Lane()
    this.#lanes.set(type, lane)
    if (lane.size >= this.#of(type)) return lane.wait(id, owner)
    lane.enter(id, owner)
    try {
      await work()
    } finally {
      lane.leave(owner)
      const next = lane.next()
      if (next !== undefined) await offer(next)
      else if (lane.size === 0) this.#lanes.delete(type)
    }
  }

  #of(type: string): number {
    return this.#most.get(type) ?? Infinity
  }
}

class Lane {
  size = 0
  readonly #running = new Map<string | null, number>()
  readonly #waiting = new Map<string, string | null>()

  wait(id: string, owner: string | null): void {
    this.#waiting.set(id, owner)
  }

  enter(id: string, owner: string | null): void {
    this.size += 1
    this.#running.set(owner, this.#runningOf(owner) + 1)
    this.#waiting.delete(id)
  }

  leave(owner: string | null): void {
    this.size -= 1
    const left = this.#runningOf(owner) - 1
    if (left > 0) this.#running.set(owner, left)
    else this.#running.delete(owner)
  }

  /** Takes it out of those that wait. */
  next(): string | undefined {
    let best: string | undefined
    let least = Infinity
    for (const [id, owner] of this.#waiting) {
      const running = this.#runningOf(owner)
      if (running < least) [best, least] = [id, running]
      if (least === 0) break
    }
    if (best !== undefined) this.#waiting.delete(best)
    return best
  }

  #runningOf(owner: string | null): number {
    return this.#running.get(owner) ?? 0
  }
}
