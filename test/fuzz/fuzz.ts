/**
 * The fuzzer of disk formats: `make fuzz`, or `node test/fuzz/fuzz.ts [--seconds N] [--seed N] [--keep DIR]`.
 * A parser may say anything about a damaged image, but it may not throw what is no Failure, think for
 * more than 2 s, or take more than 256 MiB; and an image it calls safe must open.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { makeBaseImages } from '../../src/testing/hostile/base-images.ts'
import { isoOf } from '../../src/testing/hostile/hostile-claims.ts'
import { ovfOf, tarOf } from '../../src/testing/hostile/hostile-packed.ts'
import { gptDisk } from '../../src/testing/hostile/hostile-partitions.ts'
import { withVmdkFooter } from '../../src/testing/vmdk-footer.ts'

const MAX_FILE = 16 * 1024 * 1024
const HANG_MS = 2000
const MAX_GROWTH = 256 * 1024 * 1024

/** What the thread is given. */
export interface FuzzWork {
  seed: number
  starts: { claim: string; bytes: Uint8Array }[]
  /** The file at work. */
  shared: SharedArrayBuffer
  /** Files done, length of the one at work, which one it came from, answers known. */
  progress: SharedArrayBuffer
}

/** A file that should not do what it does. */
export interface Offence {
  what: string
  claim: string
  bytes: Uint8Array
}

export interface FuzzResult {
  files: number
  answers: number
  offences: Offence[]
}

/** Fuzzes for so many seconds, or until something is found. */
export async function fuzz({
  seconds,
  seed,
}: {
  seconds: number
  seed: number
}): Promise<FuzzResult> {
  const starts = await makeStarts()
  const shared = new SharedArrayBuffer(MAX_FILE)
  const progress = new SharedArrayBuffer(16)
  const counters = new Int32Array(progress)
  const offences: Offence[] = []
  const work: FuzzWork = { seed, starts, shared, progress }
  const worker = new Worker(new URL('./_fuzz-thread.ts', import.meta.url), { workerData: work })
  const atWork = (what: string): Offence => ({
    what,
    claim: starts[Atomics.load(counters, 2)]?.claim ?? 'of a file made on the way',
    bytes: new Uint8Array(shared.slice(0, Atomics.load(counters, 1))),
  })
  worker.on(
    'message',
    ({ error, claim, bytes }: { error: string; claim: string; bytes: Uint8Array }) =>
      offences.push({ what: error, claim, bytes }),
  )
  worker.on('error', (error) =>
    offences.push(atWork(error instanceof Error ? (error.stack ?? error.message) : String(error))),
  )
  const base = process.memoryUsage.rss()
  const end = performance.now() + seconds * 1000
  let last = { count: -1, at: performance.now(), cpu: process.cpuUsage() }
  while (performance.now() < end && offences.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 100))
    const count = Atomics.load(counters, 0)
    const cpu = process.cpuUsage(last.cpu)
    if (count !== last.count) last = { count, at: performance.now(), cpu: process.cpuUsage() }
    // processor time, so that a busy machine is not taken for a hang
    else if ((cpu.user + cpu.system) / 1000 > HANG_MS)
      offences.push(atWork(`no answer after ${HANG_MS} ms`))
    const growth = process.memoryUsage.rss() - base
    if (growth > MAX_GROWTH) offences.push(atWork(`${Math.round(growth / 2 ** 20)} MiB of memory`))
  }
  await worker.terminate()
  return { files: Atomics.load(counters, 0), answers: Atomics.load(counters, 3), offences }
}

async function makeStarts(): Promise<FuzzWork['starts']> {
  const directory = await mkdtemp(join(tmpdir(), 'ingot-fuzz-'))
  try {
    const bases = await makeBaseImages(directory)
    const ova = tarOf([
      ['vm.ovf', ovfOf()],
      ['disk.vmdk', bases.vmdkStream],
    ])
    return [
      { claim: 'qcow2', bytes: bases.qcow2 },
      { claim: 'qcow2', bytes: bases.qcow2Compressed },
      { claim: 'vdi', bytes: bases.vdi },
      { claim: 'vhd', bytes: bases.vhd },
      { claim: 'vhd', bytes: bases.vhdFixed },
      { claim: 'vhdx', bytes: bases.vhdx },
      { claim: 'vmdk', bytes: bases.vmdk },
      { claim: 'vmdk', bytes: bases.vmdkStream },
      { claim: 'vmdk', bytes: withVmdkFooter(bases.vmdk) },
      { claim: 'vmdk', bytes: withVmdkFooter(bases.vmdkStream) },
      { claim: 'raw', bytes: gptDisk() },
      { claim: 'iso', bytes: isoOf(64) },
      { claim: 'ova', bytes: ova },
      { claim: 'raw.gz', bytes: gzipSync(gptDisk()) },
      { claim: 'qcow2.zst', bytes: zstdCompressSync(bases.qcow2) },
    ]
  } finally {
    await rm(directory, { recursive: true })
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '120' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
      keep: { type: 'string', default: join(tmpdir(), 'ingot-fuzz-offences') },
    },
  })
  console.log(`fuzzing for ${values.seconds} s, seed ${values.seed}`)
  const result = await fuzz({ seconds: Number(values.seconds), seed: Number(values.seed) })
  console.log(`${result.files} files, ${result.answers} different answers`)
  for (const [index, { what, claim, bytes }] of result.offences.entries()) {
    await mkdir(values.keep, { recursive: true })
    const path = join(values.keep, `${values.seed}-${index}`)
    await writeFile(path, bytes)
    console.log(`${path} (said to be ${claim}): ${what}`)
  }
  process.exitCode = result.offences.length > 0 ? 1 : 0
}
