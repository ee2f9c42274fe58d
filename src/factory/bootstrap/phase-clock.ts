import type { Context } from '../../base/context.ts'

export interface Phase {
  name: string
  durationMs: number
}

/** Carries out a phase, for whoever keeps phases in a way of its own. */
export type RunPhase = <T>(name: string, detail: string, work: () => Promise<T>) => Promise<T>

/** Tells the phases of a job as they begin, and remembers how long each took. */
export class PhaseClock {
  readonly #context: Context
  readonly #phases: Phase[] = []
  readonly #runPhase: RunPhase

  constructor(context: Context, runPhase: RunPhase = (_name, _detail, work) => work()) {
    this.#context = context
    this.#runPhase = runPhase
  }

  get phases(): readonly Phase[] {
    return this.#phases
  }

  async run<T>(name: string, detail: string, work: () => Promise<T>): Promise<T> {
    this.#context.progress({ kind: 'phase', name, detail })
    const startedAt = this.#context.now().getTime()
    const result = await this.#runPhase(name, detail, work)
    const durationMs = this.#context.now().getTime() - startedAt
    this.#phases.push({ name, durationMs })
    this.#context.log.info('build.phase', { phase: name, durationMs })
    return result
  }
}
