import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Context } from '../../base/context.ts'
import { asFileFailure, Failure } from '../../base/failure.ts'

export interface Digests {
  sha256: string
  sha512: string
}

/** Both digests of a file, in hexadecimal, each by a thread of its own. Fails with INTERRUPTED and as file failures. */
export async function digestFile(path: string, context: Context): Promise<Digests> {
  const [sha256, sha512] = await Promise.all([
    digestBy('sha256', path, context.signal),
    digestBy('sha512', path, context.signal),
  ])
  return { sha256, sha512 }
}

async function digestBy(algorithm: string, path: string, signal: AbortSignal): Promise<string> {
  const file = new URL(`./_digest-thread${extname(import.meta.filename)}`, import.meta.url)
  const worker = new Worker(file, { workerData: { algorithm, path } })
  const onAbort = () => void worker.terminate()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await new Promise<string>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', (error) => reject(asFileFailure(error, path)))
      worker.once('exit', () =>
        reject(new Failure('INTERRUPTED', `${path}: the digest was stopped`)),
      )
    })
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
