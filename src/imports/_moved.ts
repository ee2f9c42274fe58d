import { MiB } from '../base/units.ts'
import type { Lease } from '../tasks/task.ts'

/** How many bytes went into each store, and who is told. */
export class Moved {
  readonly #lease: Lease
  readonly #byStore = new Map<string, number>()

  constructor(lease: Lease) {
    this.#lease = lease
  }

  get bytes(): number {
    return [...this.#byStore.values()].reduce((sum, one) => sum + one, 0)
  }

  /** Source: Glance's words. */
  get message(): string {
    return `Copied ${Math.floor(this.bytes / MiB)} MiB`
  }

  tell(store: string, done: number, total: number | undefined): void {
    this.#byStore.set(store, done)
    const { bytes, message } = this
    this.#lease.tell({ done: bytes, message, ...(total !== undefined && { total }) })
  }
}
