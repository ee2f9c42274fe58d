/** The thread behind `inspect.ts`: inspects files, or the content it is sent, one after the other. */
import { parentPort } from 'node:worker_threads'
import { isFailure } from '../base/failure.ts'
import { openFileSource } from '../bytes/source.ts'
import { inspectSource } from './_inspect-source.ts'
import type { Job } from './_inspection-job.ts'
import {
  type Inspection,
  makeJob,
  type ThreadAnswer,
  type ThreadOrder,
  toInspection,
} from './inspect.ts'

/** A block of a stream; null behind the last. */
type Block = Uint8Array<ArrayBuffer> | null

const port = parentPort
const answer = (message: ThreadAnswer, moved: ArrayBuffer[] = []) =>
  port?.postMessage(message, moved)
let takeBlock: (block: Block) => void = () => {}

port?.on('message', (message: ThreadOrder | Block) => {
  if (message === null || message instanceof Uint8Array) takeBlock(message)
  else void carryOut(message) // what it throws ends the thread, which is told
})

async function carryOut({ path, options }: ThreadOrder): Promise<void> {
  const job = makeJob(options, { now: () => new Date(), newId: () => crypto.randomUUID() })
  try {
    const inspection = await (path === undefined ? inspectBlocks(job) : inspectFile(path, job))
    answer({ kind: 'inspection', inspection })
  } catch (error) {
    if (!isFailure(error)) throw error
    const details = { ...error.details }
    answer({ kind: 'failure', code: error.code, message: error.message, details })
  }
}

async function inspectFile(path: string, job: Job): Promise<Inspection> {
  await using source = await openFileSource(path)
  return toInspection(await inspectSource(source, job), job, source.size)
}

async function inspectBlocks(job: Job): Promise<Inspection> {
  const { StreamInspection } = await import('./_inspect-stream.ts')
  await using stream = new StreamInspection(job)
  let size = 0
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  takeBlock = (block) => {
    if (block === null) return resolve()
    size += block.length
    const handBack = () => answer({ kind: 'next', decided: stream.decided, block }, [block.buffer])
    stream.push(block).then(handBack, reject)
  }
  await promise
  return toInspection(await stream.end(), job, size)
}
