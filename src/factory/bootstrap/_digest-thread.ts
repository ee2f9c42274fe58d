/** The thread behind `digest-file.ts`: reads a file once and tells its digest. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { MiB } from '../../base/units.ts'

const { algorithm, path } = workerData as { algorithm: string; path: string }
const hash = createHash(algorithm)
const buffer = Buffer.allocUnsafeSlow(MiB)
const file = openSync(path, 'r')
for (let length = readSync(file, buffer); length > 0; length = readSync(file, buffer))
  hash.update(buffer.subarray(0, length))
closeSync(file)
parentPort?.postMessage(hash.digest('hex'))
