/** What a job made elsewhere, as its task knows it. */
import type { Json, Lease } from '../../tasks/task.ts'
import type { Holding, Holdings } from '../os-builder.ts'

/** A thing that is held; two of them may look alike. */
interface Held {
  thing: Json
}

export class LeaseHoldings implements Holdings {
  readonly #lease: Lease
  #held: Held[]
  #noting: Promise<void> = Promise.resolve()

  constructor(lease: Lease, things: readonly Json[]) {
    this.#lease = lease
    this.#held = things.map((thing) => ({ thing }))
  }

  get all(): readonly Json[] {
    return this.#held.map(({ thing }) => thing)
  }

  async add(thing: Json): Promise<Holding> {
    const held: Held = { thing }
    this.#held.push(held)
    await this.#note()
    return this.#holdingOf(held)
  }

  find(matches: (thing: Json) => boolean): (Holding & { readonly thing: Json }) | undefined {
    const held = this.#held.find(({ thing }) => matches(thing))
    return held && { thing: held.thing, ...this.#holdingOf(held) }
  }

  #holdingOf(held: Held): Holding {
    return {
      update: async (thing) => {
        held.thing = thing
        await this.#note()
      },
      drop: async () => {
        this.#held = this.#held.filter((one) => one !== held)
        await this.#note()
      },
    }
  }

  /** In place of all that was held. */
  async replace(things: readonly Json[]): Promise<void> {
    this.#held = things.map((thing) => ({ thing }))
    await this.#note()
  }

  /** One after the other, so that what is kept last is how it is. */
  async #note(): Promise<void> {
    const noting = this.#noting.catch(() => {}).then(() => this.#lease.note(this.all))
    this.#noting = noting
    noting.catch(() => {}) // heard by who waits for it
    await noting
  }
}
