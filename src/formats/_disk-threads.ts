import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Failure, messageOf } from '../base/failure.ts'
import { fromSent } from '../base/sent-error.ts'
import type { Answer, CopyJob, Job, ScanJob } from './_disk-thread.ts'

interface Waiting {
  resolve(answer: Answer): void
  reject(error: Error): void
}

interface Thread {
  readonly worker: Worker
  /** Those that wait for answers, which come in the order of the jobs. */
  readonly waiting: Waiting[]
}

/** Jobs that a thread is given before it has answered, so that it never waits for the next one. */
const AHEAD = 2

/** Threads that look through disks and copy parts of files, as fast as the kernel lets them. */
export class DiskThreads implements AsyncDisposable {
  readonly #threads: Thread[]

  /** Starts them; they are ready some 20 ms later, and may be given jobs at once. */
  constructor(count: number) {
    const turn = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    this.#threads = Array.from({ length: count }, () => startThread(turn))
  }

  /**
   * Carries out the jobs of a list; at most a few of it are taken ahead. `onDone` is told each that is
   * done, in no certain order. When it ends, with a failure too, no job is under way any more.
   * Fails with INTERRUPTED, NO_SPACE, IMAGE_TRUNCATED, FILE_UNREADABLE.
   */
  async run<T extends ScanJob | CopyJob>(
    jobs: AsyncIterable<T> | Iterable<T>,
    signal: AbortSignal,
    onDone: (job: T, answer: Answer) => void,
  ): Promise<void> {
    const underWay = new Set<Promise<void>>()
    let failed: { error: unknown } | undefined
    const start = (job: T) => {
      const done = this.#ask(job)
        .then((answer) => onDone(job, answer))
        .catch((error: unknown) => void (failed ??= { error }))
        .finally(() => underWay.delete(done))
      underWay.add(done)
    }
    try {
      for await (const job of jobs) {
        start(job)
        while (underWay.size >= this.#threads.length * AHEAD) await Promise.race(underWay)
        if (failed || signal.aborted) break
      }
    } finally {
      await Promise.all(underWay)
    }
    if (failed) throw failed.error
    if (signal.aborted) throw new Failure('INTERRUPTED', 'interrupted')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.map(async ({ worker }) => await worker.terminate()))
  }

  #ask(job: Job): Promise<Answer> {
    const thread = this.#threads.reduce((least, other) =>
      other.waiting.length < least.waiting.length ? other : least,
    )
    return new Promise((resolve, reject) => {
      thread.waiting.push({ resolve, reject })
      thread.worker.postMessage(job, [job.parts.buffer as ArrayBuffer])
    })
  }
}

function startThread(turn: Int32Array): Thread {
  const file = new URL(`./_disk-thread${extname(import.meta.filename)}`, import.meta.url)
  const thread: Thread = { worker: new Worker(file, { workerData: turn }), waiting: [] }
  const lose = (error: Error) => {
    for (const { reject } of thread.waiting.splice(0)) reject(error)
  }
  thread.worker.on('message', (answer: Answer) => {
    const waiting = thread.waiting.shift()
    if ('error' in answer) waiting?.reject(fromSent(answer.error))
    else waiting?.resolve(answer)
  })
  thread.worker.on('error', (error) =>
    lose(error instanceof Error ? error : new Error(messageOf(error))),
  )
  thread.worker.on('exit', () => lose(new Error('a thread that copies has ended')))
  return thread
}
