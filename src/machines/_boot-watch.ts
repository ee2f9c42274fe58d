import { setTimeout as sleep } from 'node:timers/promises'
import { BootTimeline, type Stage, type TimelineListeners } from './boot-timeline.ts'
import { MAX_RESETS } from './boot-diagnosis.ts'

/** One boot as it goes: what is known of it, and waiting for more. */
export class BootWatch {
  readonly timeline: BootTimeline
  resets = 0
  /** Why the machine ended, if it did. */
  ended: string | undefined
  readonly #start: number
  readonly #waiting = new Set<() => void>()

  constructor(tell: TimelineListeners) {
    this.timeline = new BootTimeline(tell)
    this.#start = performance.now()
  }

  /** Milliseconds since the machine was started. */
  get elapsedMs(): number {
    return Math.round(performance.now() - this.#start)
  }

  /** Whether nothing good can come any more. */
  get hopeless(): boolean {
    return (
      this.ended !== undefined ||
      this.resets >= MAX_RESETS ||
      this.timeline.clues.some(({ fatal }) => fatal)
    )
  }

  print(chunk: Uint8Array): void {
    this.timeline.push(chunk, this.elapsedMs)
    this.#changed()
  }

  note(stage: Stage, evidence: string): void {
    this.timeline.note(stage, this.elapsedMs, evidence)
    this.#changed()
  }

  reset(): void {
    this.resets++
    this.#changed()
  }

  end(why: string): void {
    this.ended ??= why
    this.#changed()
  }

  /**
   * Waits until `condition` holds, the boot is hopeless, the time is `untilMs` since the start, or
   * `signal` is aborted; whether the condition holds then.
   */
  async until(condition: () => boolean, untilMs: number, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const look = () => {
      if (condition() || this.hopeless || signal.aborted) resolve()
    }
    const timer = setTimeout(resolve, Math.max(0, untilMs - this.elapsedMs))
    this.#waiting.add(look)
    signal.addEventListener('abort', look)
    look()
    await promise
    clearTimeout(timer)
    this.#waiting.delete(look)
    signal.removeEventListener('abort', look)
    return condition()
  }

  /** Waits a little for what a guest says after it has given up, which often says most. */
  async linger(durationMs: number, signal: AbortSignal): Promise<void> {
    if (this.ended === undefined) await sleep(durationMs, undefined, { signal }).catch(() => {})
  }

  #changed(): void {
    for (const look of this.#waiting) look()
  }
}
