/**
 * Damages images and takes them apart, for ever. The parent sees in shared memory what is being worked
 * on and for how long, so that it can tell a hang and keep the file that caused it. What is learned
 * steers what is tried: an answer not seen before makes its file one to start from.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { makeContext } from '../../src/base/context.ts'
import { isFailure } from '../../src/base/failure.ts'
import { memorySource } from '../../src/bytes/source.ts'
import { createInspector } from '../../src/formats/create-inspector.ts'
import { type Inspection } from '../../src/formats/inspect.ts'
import { openDisk } from '../../src/formats/open-disk.ts'
import { loadParser } from '../../src/formats/parsers.ts'
import type { DiskParser } from '../../src/formats/parser.ts'
import type { FuzzWork } from './fuzz.ts'
import { mutate, randomFrom, sectorsOfInterest } from './mutate.ts'

/** Files to start from are kept up to this many, and up to this size. */
const MAX_FILES = 64
const MAX_FILE = 1024 * 1024

interface Start {
  claim: string
  bytes: Uint8Array
  sectors: number[]
}

const { seed, starts, shared, progress } = workerData as FuzzWork
const random = randomFrom(seed)
const files: Start[] = starts.map(({ claim, bytes }) => toStart(claim, bytes))
const seen = new Set<string>()
const current = new Uint8Array(shared)
const counters = new Int32Array(progress)

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const enough = process.memoryUsage.rss() + 64 * 1024 * 1024

for (;;) {
  // what earlier files left behind is not this one's memory
  if (process.memoryUsage.rss() > enough) collectGarbage()
  const start = files[random(files.length)]
  if (start === undefined) break
  const bytes = mutate(start.bytes, start.sectors, random)
  if (bytes.length > current.length) continue
  current.set(bytes)
  Atomics.store(counters, 1, bytes.length)
  Atomics.store(counters, 2, files.indexOf(start))
  try {
    const answer = await answerOf(bytes, start.claim)
    if (!seen.has(answer)) {
      seen.add(answer)
      if (files.length < MAX_FILES && bytes.length <= MAX_FILE)
        files.push(toStart(start.claim, bytes))
      Atomics.store(counters, 3, seen.size)
    }
  } catch (error) {
    parentPort?.postMessage({
      claim: start.claim,
      bytes,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    })
  }
  Atomics.add(counters, 0, 1)
}

function toStart(claim: string, bytes: Uint8Array): Start {
  return { claim, bytes, sectors: sectorsOfInterest(bytes) }
}

/**
 * What was found, without the places. Throws where two ways to look at one file disagree: what is
 * safe must open, and every byte of its disk must be there or be known to be damaged.
 */
async function answerOf(bytes: Buffer, claim: string): Promise<string> {
  const inspection = await inspect(bytes, claim)
  const codes = [...new Set(inspection.findings.map(({ code }) => code))].toSorted()
  const parser = inspection.safe ? await loadParser(inspection.format) : undefined
  if (parser !== undefined) await readAll(bytes, parser)
  return `${inspection.format} ${codes.join(' ')}`
}

async function inspect(bytes: Buffer, claim: string): Promise<Inspection> {
  await using inspector = createInspector({ claim }, makeContext())
  const cut = [4096, 65_536, 1 << 20][random(3)] ?? 4096
  for (let at = 0; at < bytes.length; at += cut) await inspector.push(bytes.subarray(at, at + cut))
  return await inspector.end()
}

async function readAll(bytes: Buffer, parser: DiskParser) {
  await using disk = await openDisk(memorySource(bytes), parser)
  let left = 64
  for (const { offset, length } of disk.extents()) {
    if (left-- === 0) break
    try {
      await disk.read(offset, Math.min(length, 1 << 20))
    } catch (error) {
      if (!isFailure(error)) throw error
    }
  }
}
