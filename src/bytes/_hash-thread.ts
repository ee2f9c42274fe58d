/** The thread behind `block-ring.ts`: takes slots of the ring as they fill, and answers at the end. */
import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { CONSUMED, PRODUCED, type Ring, SLOT, SLOTS } from './_hash-ring.ts'

const { algorithm, control, lengths, data } = workerData as Ring
const hash = createHash(algorithm)
for (let slot = 0; ; slot++) {
  Atomics.wait(control, PRODUCED, slot)
  const length = lengths[slot % SLOTS] ?? 0
  if (length === 0) break
  const at = (slot % SLOTS) * SLOT
  hash.update(data.subarray(at, at + length))
  Atomics.store(control, CONSUMED, slot + 1)
  Atomics.notify(control, CONSUMED)
}
parentPort?.postMessage(hash.digest('hex'))
