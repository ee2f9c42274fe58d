/** One of the threads of `digest-threads.ts`: takes a block of each of its contents in turn. */
import { receiveMessageOnPort, workerData } from 'node:worker_threads'
import { giveWay } from '../base/thread-priority.ts'
import { DigestBlocks } from './_digest-blocks.ts'
import type { DigestAnswer, DigestOrder, DigestThreadData } from './_digest-memory.ts'

const { bell, port } = workerData as DigestThreadData
const jobs = new Map<number, DigestBlocks>()

giveWay()
for (;;) {
  const rung = Atomics.load(bell, 0)
  takeOrders()
  let worked = false
  for (const [id, job] of jobs) worked = work(id, job) || worked
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
    jobs.set(id, new DigestBlocks(algorithm, memory, done))
  } catch (error) {
    answer({ id, error: String(error) })
  }
}

/** Digests one block, if there is one. */
function work(id: number, job: DigestBlocks): boolean {
  const digest = job.next()
  if (typeof digest !== 'string') return digest
  jobs.delete(id)
  answer({ id, digest })
  return true
}

function answer(message: DigestAnswer): void {
  port.postMessage(message)
}
