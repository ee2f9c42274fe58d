/** Wakes those who follow an image in this process, so that they need not wait for their next look. */
export class News {
  readonly #listeners = new Map<string, Set<() => void>>()

  tell(imageId: string): void {
    for (const wake of this.#listeners.get(imageId) ?? []) wake()
  }

  /** Until what it gives is called. */
  listen(imageId: string, wake: () => void): () => void {
    const listeners = this.#listeners.get(imageId) ?? new Set()
    this.#listeners.set(imageId, listeners.add(wake))
    return () => {
      listeners.delete(wake)
      if (listeners.size === 0 && this.#listeners.get(imageId) === listeners)
        this.#listeners.delete(imageId)
    }
  }
}
