interface Waiting {
  readonly upTo: number
  resolve(): void
  reject(error: unknown): void
}

/** How far something has come that others follow, who wait until it is where they want it. */
export class Watermark {
  #at = 0
  #failed: { error: unknown } | undefined
  readonly #waiting = new Set<Waiting>()

  get at(): number {
    return this.#at
  }

  /** It will not come further. */
  get hasFailed(): boolean {
    return this.#failed !== undefined
  }

  advance(to: number): void {
    this.#at = to
    for (const one of this.#waiting)
      if (one.upTo <= to) {
        this.#waiting.delete(one)
        one.resolve()
      }
  }

  /** Tells all who wait, and who come later, why it ends where it is. */
  fail(error: unknown): void {
    this.#failed ??= { error }
    for (const one of this.#waiting) one.reject(error)
    this.#waiting.clear()
  }

  /** Resolves when it has come to `upTo`. Fails with what `fail` was told. */
  async reach(upTo: number): Promise<void> {
    if (this.#at >= upTo) return
    if (this.#failed) throw this.#failed.error
    await new Promise<void>((resolve, reject) => this.#waiting.add({ upTo, resolve, reject }))
  }
}
