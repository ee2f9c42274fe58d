/** Wakes those who follow an image in this process, so that they need not wait for their next look. */
export class News {
  readonly #listeners = new Map<string, Set<() => void>>()
  #count = 0

  tell(imageId: string): void {
    for (const wake of this.#listeners.get(imageId) ?? []) wake()
  }

  /** How many listen, to whatever image. */
  get count(): number {
    return this.#count
  }

  /** Until what it gives is called. */
  listen(imageId: string, wake: () => void): () => void {
    const listeners = this.#listeners.get(imageId) ?? new Set()
    this.#listeners.set(imageId, listeners.add(wake))
    this.#count += 1
    return () => {
      if (listeners.delete(wake)) this.#count -= 1
      if (listeners.size === 0 && this.#listeners.get(imageId) === listeners)
        this.#listeners.delete(imageId)
    }
  }
}
