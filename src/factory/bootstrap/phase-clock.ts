import type { Context } from '../../base/context.ts'

export interface Phase {
  name: string
  durationMs: number
}

/** Tells the phases of a job as they begin, and remembers how long each took. */
export class PhaseClock {
  readonly #context: Context
  readonly #phases: Phase[] = []

  constructor(context: Context) {
    this.#context = context
  }

  get phases(): readonly Phase[] {
    return this.#phases
  }

  async run<T>(name: string, detail: string, work: () => Promise<T>): Promise<T> {
    this.#context.progress({ kind: 'phase', name, detail })
    const startedAt = this.#context.now().getTime()
    const result = await work()
    const durationMs = this.#context.now().getTime() - startedAt
    this.#phases.push({ name, durationMs })
    this.#context.log.info('build.phase', { phase: name, durationMs })
    return result
  }
}
