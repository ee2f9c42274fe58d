/** One of the threads of `digest-threads.ts`: takes a block of each of its contents in turn. */
import { createHash, type Hash } from 'node:crypto'
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import { giveWay } from '../base/thread-priority.ts'
import {
  type DigestAnswer,
  type DigestMemory,
  type DigestOrder,
  type DigestThreadData,
  FILLED,
} from './_digest-memory.ts'

interface Job {
  readonly id: number
  readonly hash: Hash
  readonly memory: DigestMemory
  readonly done: number
  count: number
}

const ZEROS = new Uint8Array(256 * 1024)
const { bell, port } = workerData as DigestThreadData
const jobs = new Map<number, Job>()

giveWay()
for (;;) {
  const rung = Atomics.load(bell, 0)
  takeOrders()
  let worked = false
  for (const job of jobs.values()) worked = work(job) || worked
  if (!worked) Atomics.wait(bell, 0, rung)
}

function takeOrders(): void {
  for (;;) {
    const received = receiveMessageOnPort(port)
    if (received === undefined) return
    const order: DigestOrder = received.message
    if (order.kind === 'drop') jobs.delete(order.id)
    else begin(order)
  }
}

function begin({ id, algorithm, memory, done }: DigestOrder & { kind: 'begin' }): void {
  try {
    jobs.set(id, { id, hash: createHash(algorithm), memory, done, count: 0 })
  } catch (error) {
    answer({ id, error: String(error) })
  }
}

/** Digests one block, if there is one. */
function work(job: Job): boolean {
  const { control, lengths, data, block } = job.memory
  if (job.count === Atomics.load(control, FILLED)) return false
  const slot = job.count % lengths.length
  const length = lengths[slot] ?? 0
  if (length > 0) job.hash.update(data.subarray(slot * block, slot * block + length))
  for (let left = -length; left > 0; left -= ZEROS.length)
    job.hash.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS)
  job.count++
  if (length === 0) {
    jobs.delete(job.id)
    answer({ id: job.id, digest: job.hash.digest('hex') })
  }
  Atomics.store(control, job.done, job.count)
  Atomics.notify(control, job.done)
  return true
}

function answer(message: DigestAnswer): void {
  port.postMessage(message)
}
