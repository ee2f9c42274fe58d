/**
 * The thread behind `_disk-threads.ts`: looks which units of a disk hold data, and copies parts of
 * files. Descriptors belong to the whole process, so no byte of a disk travels between threads.
 */
import { readSync, writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { asFileFailure, Failure } from '../base/failure.ts'
import { type SentError, toSent } from '../base/sent-error.ts'
import { KiB } from '../base/units.ts'
import { HEAD, HeadSums } from './_disk-name.ts'
import { UNIT } from './disk-map.ts'
import { isZero } from './zero-units.ts'

/** A file, and what failures call it. */
export interface NamedFile {
  readonly descriptor: number
  readonly name: string
}

export type Job = ScanJob | CopyJob

/** Parts of a disk: for each, where it stands in the disk and in the file, and its length. */
export interface ScanJob {
  readonly kind: 'scan'
  readonly from: NamedFile
  readonly parts: Float64Array
}

/** Parts of a file: for each, where it stands there and where it goes, and its length. */
export interface CopyJob {
  readonly kind: 'copy'
  readonly from: NamedFile
  readonly to: NamedFile
  readonly parts: Float64Array
}

export type Answer =
  | { readonly done: true }
  /** Units that hold something, and what tells their content apart. */
  | { readonly units: Float64Array; readonly sums: { first: number; second: number } }
  | { readonly error: SentError }

/** As much as stays in the processor's cache, between being read and being written. */
const BUFFER = 512 * KiB

const buffer = Buffer.allocUnsafeSlow(BUFFER)

/**
 * The right to write, shared by all threads: the kernel lets only one at a time into a file, and those
 * that it keeps waiting burn the processor; these sleep, and read when it is not their turn.
 */
const turn = workerData as Int32Array
const FREE = 0
const TAKEN = 1

function scan({ from, parts }: ScanJob): Answer {
  const units: number[] = []
  const sums = new HeadSums()
  for (let part = 0; part < parts.length; part += 3) {
    const [guest = 0, host = 0, length = 0] = parts.subarray(part, part + 3)
    for (let at = guest; at < guest + length;) {
      const unit = Math.floor(at / UNIT)
      const end = Math.min((unit + 1) * UNIT, guest + length)
      const headEnd = Math.min(at + HEAD, end)
      const place = host + at - guest
      fill(from, 0, headEnd - at, place)
      const head = buffer.subarray(0, headEnd - at)
      let holds = !isZero(head)
      if (holds) sums.add(head, at)
      if (!holds && end > headEnd) {
        fill(from, 0, end - headEnd, place + headEnd - at)
        holds = !isZero(buffer, 0, end - headEnd)
      }
      if (holds) units.push(unit)
      at = end
    }
  }
  return { units: Float64Array.from(units), sums: { first: sums.first, second: sums.second } }
}

/** Reads as much as fits, then writes it: parts that go to one place after the other go as one. */
function copy({ from, to, parts }: CopyJob): Answer {
  let filled = 0
  let start = 0
  for (let part = 0; part < parts.length; part += 3) {
    const [host = 0, target = 0, length = 0] = parts.subarray(part, part + 3)
    for (let done = 0; done < length;) {
      if (filled === BUFFER || (filled > 0 && start + filled !== target + done)) {
        drain(to, filled, start)
        filled = 0
      }
      if (filled === 0) start = target + done
      const count = Math.min(length - done, BUFFER - filled)
      fill(from, filled, count, host + done)
      filled += count
      done += count
    }
  }
  drain(to, filled, start)
  return { done: true }
}

function fill(from: NamedFile, start: number, length: number, place: number): void {
  try {
    for (let done = 0; done < length;) {
      const count = readSync(from.descriptor, buffer, start + done, length - done, place + done)
      if (count === 0)
        throw new Failure('IMAGE_TRUNCATED', `${from.name} ends before byte ${place + length}`)
      done += count
    }
  } catch (error) {
    throw asFileFailure(error, from.name)
  }
}

function drain(to: NamedFile, length: number, place: number): void {
  while (Atomics.compareExchange(turn, 0, FREE, TAKEN) === TAKEN) Atomics.wait(turn, 0, TAKEN)
  try {
    for (let done = 0; done < length;)
      done += writeSync(to.descriptor, buffer, done, length - done, place + done)
  } catch (error) {
    throw asFileFailure(error, to.name)
  } finally {
    Atomics.store(turn, 0, FREE)
    Atomics.notify(turn, 0, 1)
  }
}

parentPort?.on('message', (job: Job) => {
  let answer: Answer
  try {
    answer = job.kind === 'scan' ? scan(job) : copy(job)
  } catch (error) {
    answer = { error: toSent(error) }
  }
  parentPort?.postMessage(answer)
})
