import type { Context } from '../base/context.ts'
import { messageOf } from '../base/failure.ts'
import type { Queue } from './queue.ts'

/** The queue within one process: offers are handed out in their order, each once as long as it waits. */
export function openLocalQueue({ log }: Context): Queue {
  return new LocalQueue((error) => log.error('queue.failed', { error: messageOf(error) }))
}

class LocalQueue implements Queue {
  readonly #waiting = new Set<string>()
  readonly #failed: (error: unknown) => void
  #concurrency = 0
  #running = 0
  #handle: (taskId: string) => Promise<void> = async () => {}

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed
  }

  async offer(taskId: string): Promise<void> {
    this.#waiting.add(taskId)
    this.#handOut()
  }

  async work(concurrency: number, handle: (taskId: string) => Promise<void>): Promise<void> {
    this.#concurrency = concurrency
    this.#handle = handle
    this.#handOut()
  }

  async rest(): Promise<void> {
    this.#concurrency = 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rest()
    this.#waiting.clear()
  }

  #handOut(): void {
    for (const taskId of this.#waiting) {
      if (this.#running >= this.#concurrency) return
      this.#waiting.delete(taskId)
      void this.#run(taskId)
    }
  }

  async #run(taskId: string): Promise<void> {
    this.#running += 1
    try {
      await this.#handle(taskId)
    } catch (error) {
      this.#failed(error)
    } finally {
      this.#running -= 1
      this.#handOut()
    }
  }
}
