/** The thread behind `inspect.ts`: inspects one file, or the content it is sent, and answers. */
import { randomUUID } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { isFailure } from '../base/failure.ts'
import { openFileSource } from '../bytes/source.ts'
import { inspectSource } from './_inspect-source.ts'
import { StreamInspection } from './_inspect-stream.ts'
import {
  type Inspection,
  makeJob,
  type ThreadAnswer,
  type ThreadOrder,
  toInspection,
} from './inspect.ts'

const { path, options } = workerData as ThreadOrder
const port = parentPort
const job = makeJob(options, { now: () => new Date(), newId: randomUUID })
const answer = (message: ThreadAnswer) => port?.postMessage(message)

async function inspectFile(file: string): Promise<Inspection> {
  await using source = await openFileSource(file)
  return toInspection(await inspectSource(source, job), job, source.size)
}

/** Content comes in messages, one at a time; null says that it has ended. */
async function inspectMessages(): Promise<Inspection> {
  await using stream = new StreamInspection(job)
  let size = 0
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  port?.on('message', (chunk: Uint8Array | null) => {
    if (chunk === null) return resolve()
    size += chunk.length
    stream.push(chunk).then(() => answer({ kind: 'next', decided: stream.decided }), reject)
  })
  await promise
  return toInspection(await stream.end(), job, size)
}

try {
  const inspection = await (path === undefined ? inspectMessages() : inspectFile(path))
  answer({ kind: 'inspection', inspection })
} catch (error) {
  if (!isFailure(error)) throw error
  const details = { ...error.details }
  answer({ kind: 'failure', code: error.code, message: error.message, details })
} finally {
  port?.close()
}
