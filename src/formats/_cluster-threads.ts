import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Failure } from '../base/failure.ts'
import { fromSent } from '../base/sent-error.ts'
import type { Answer, Batch, Packed, ThreadData } from './_cluster-thread.ts'

export interface ClusterThreads extends AsyncDisposable {
  /**
   * Compresses a batch in the thread that has least to do; `plain` goes over to it.
   * Fails with INTERRUPTED, at once, and with what reading fails with.
   */
  pack(batch: Batch, signal: AbortSignal): Promise<Packed>
}

/** What a thread leaves to the collector is small and short-lived. */
const SMALL = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 }

/** A thread, and who waits for its answers, which come in the order of the batches. */
interface Thread {
  readonly worker: Worker
  readonly waiting: { resolve: (packed: Packed) => void; reject: (error: Error) => void }[]
}

/** Starts the threads. When it is closed they are gone, whatever they were doing. */
export function openClusterThreads(data: ThreadData, count: number): ClusterThreads {
  const threads = Array.from({ length: count }, () => startThread(data))
  return {
    pack: (batch, signal) => {
      const packed = new Promise<Packed>((resolve, reject) => {
        const stop = () => reject(new Failure('INTERRUPTED', 'interrupted while compressing'))
        if (signal.aborted) return stop()
        signal.addEventListener('abort', stop, { once: true })
        const thread = threads.reduce((least, other) =>
          other.waiting.length < least.waiting.length ? other : least,
        )
        const settled = () => signal.removeEventListener('abort', stop)
        thread.waiting.push({
          resolve: (result) => (settled(), resolve(result)),
          reject: (error) => (settled(), reject(error)),
        })
        thread.worker.postMessage(
          batch,
          batch.plain === undefined ? [] : [batch.plain.buffer as ArrayBuffer],
        )
      })
      packed.catch(() => {}) // heard when its turn comes, or never if an earlier one fails
      return packed
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(threads.map(async ({ worker }) => await worker.terminate()))
    },
  }
}

function startThread(data: ThreadData): Thread {
  const file = new URL(`./_cluster-thread${extname(import.meta.filename)}`, import.meta.url)
  const thread: Thread = {
    worker: new Worker(file, { workerData: data, resourceLimits: SMALL }),
    waiting: [],
  }
  thread.worker.on('message', (answer: Answer) => {
    const waiting = thread.waiting.shift()
    if ('packed' in answer) waiting?.resolve(answer.packed)
    else waiting?.reject(fromSent(answer.error))
  })
  const lost = (error: Error) => {
    for (const { reject } of thread.waiting.splice(0)) reject(error)
  }
  thread.worker.on('error', (error) => lost(asError(error)))
  thread.worker.on('exit', () => lost(new Error('a thread that compresses has ended')))
  return thread
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
