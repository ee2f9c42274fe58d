import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import { MiB } from '../base/units.ts'
import { memorySource } from '../bytes/source.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeBaseImages } from '../testing/hostile/base-images.ts'
import { hostileImages } from '../testing/hostile/hostile-images.ts'
import { gptDisk } from '../testing/hostile/hostile-partitions.ts'
import { damaged } from '../testing/mutations.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { inspectSource } from './_inspect-source.ts'
import { createInspector } from './create-inspector.ts'
import {
  type Inspection,
  inspectImage,
  InspectionThread,
  type InspectOptions,
  inspectStream,
  makeJob,
  toInspection,
} from './inspect.ts'

const at = await tempDir()
await mkdir(at('bases'), { recursive: true })
const bases = await makeBaseImages(at('bases'))
const HOSTILE = hostileImages(bases)
const context = makeContext()

async function inSource(bytes: Uint8Array, options: InspectOptions): Promise<Inspection> {
  const job = makeJob(options, context)
  return toInspection(await inspectSource(memorySource(bytes), job), job, bytes.length)
}

async function inChunks(bytes: Uint8Array, size: number, options: InspectOptions) {
  await using inspector = createInspector({ ...options, spoolDirectory: at('') }, context)
  for (let start = 0; start < bytes.length; start += size)
    await inspector.push(bytes.subarray(start, start + size))
  return await inspector.end()
}

const refusals = ({ findings }: Inspection) =>
  findings.filter(({ severity }) => severity === 'refuse').map(({ code }) => code)

describe('a hostile image', () => {
  it('is refused as a file, for what is wrong with it', async () => {
    for (const { name, claim, codes, make } of HOSTILE) {
      const inspection = await inSource(await make(), { claim })
      assert.equal(inspection.safe, false, name)
      const told = refusals(inspection).some((code) => codes.includes(code))
      assert.ok(told, `${name}: ${refusals(inspection).join()} instead of ${codes.join()}`)
    }
  })
})

describe('a good image', () => {
  it('needs no claim', async () => {
    for (const [name, bytes] of Object.entries(bases)) {
      const inspection = await inSource(bytes, {})
      const [format] = /^[a-z0-9]+/.exec(name) ?? [] // vhdFixed is a vhd
      assert.deepEqual([refusals(inspection), inspection.format], [[], format])
      const { safe, virtualSize } = await inChunks(bytes, MiB, {})
      assert.deepEqual([safe, virtualSize], [true, inspection.virtualSize], name)
    }
  })

  it('shows its partitions in every form', async () => {
    const disk = gptDisk()
    const forms = [
      await inSource(disk, { claim: 'raw' }),
      await inChunks(disk, 4096, { claim: 'raw' }),
      await inSource(gzipSync(disk), { claim: 'raw.gz' }),
    ]
    for (const { partitions } of forms)
      assert.deepEqual(
        partitions?.partitions.map(({ number, offset }) => [number, offset]),
        [
          [1, MiB],
          [2, 2 * MiB],
        ],
      )
  })
})

describe('any damage', () => {
  const files = Object.entries({ ...bases, gpt: gptDisk(), gz: gzipSync(gptDisk()) })
  for (const [name, bytes] of files)
    it(`of a ${name} is an answer, and the same one however it is cut`, async () => {
      const ranges = [
        [0, 512],
        [Math.max(0, bytes.length - 512), bytes.length],
        [0, Math.min(bytes.length, 320 * 1024)],
      ] as const
      await fc.assert(
        fc.asyncProperty(damaged(bytes, ranges), async (file) => {
          const inspection = await inSource(file, {})
          assert.equal(inspection.safe, refusals(inspection).length === 0)
          const whole = await inChunks(file, MiB, {})
          assert.deepEqual(await inChunks(file, 5000, {}), whole)
        }),
        { numRuns: 15 },
      )
    })
})

describe('the thread', () => {
  it('answers about a file and about a stream alike', async () => {
    await writeFile(at('qcow2'), bases.qcow2)
    const options = { claim: 'qcow2' }
    const file = await inspectImage(at('qcow2'), options, context)
    async function* chunks() {
      for (let start = 0; start < bases.qcow2.length; start += 10_000)
        yield bases.qcow2.subarray(start, start + 10_000)
    }
    const stream = await inspectStream(chunks(), options, context)
    assert.deepEqual([file.safe, file.virtualSize], [true, 1024 * MiB])
    assert.deepEqual(stream, file)
  })

  it('fails for a file that is not there, and for a claim that nobody knows', async () => {
    await assert.rejects(inspectImage(at('none'), {}, context), failsWith('FILE_NOT_FOUND'))
    await assert.rejects(
      inspectImage(at('qcow2'), { claim: 'qcow3' }, context),
      failsWith('FORMAT_UNKNOWN'),
    )
    await assert.rejects(inspectImage(at(''), {}, context), failsWith('FILE_UNREADABLE'))
  })

  it('is ended when the work is interrupted', async () => {
    const controller = new AbortController()
    async function* endless() {
      yield Buffer.alloc(2 * MiB)
      controller.abort()
      await new Promise(() => {})
    }
    await assert.rejects(
      inspectStream(endless(), {}, makeContext({ signal: controller.signal })),
      failsWith('INTERRUPTED'),
    )
  })
})

it('an inspection stops at its time', async () => {
  let time = 0
  const slow = makeContext({ now: () => new Date((time += 100)) })
  await using inspector = createInspector({ limits: { timeMs: 1000 } }, slow)
  for (let count = 0; count < 100 && !inspector.decided; count++)
    await inspector.push(Buffer.alloc(MiB))
  const inspection = await inspector.end()
  assert.deepEqual(refusals(inspection), ['LIMIT_REACHED'])
})

it('a long stream takes no more memory than a short one', async () => {
  const chunk = Buffer.alloc(MiB, 7)
  let most = 0
  async function* chunks(count: number) {
    for (let index = 0; index < count; index++) {
      yield chunk
      most = Math.max(most, process.memoryUsage.rss())
    }
  }
  await using thread = new InspectionThread()
  await thread.inspectStream(chunks(16), {}, makeContext())
  const before = most
  await thread.inspectStream(chunks(1024), {}, makeContext())
  assert.ok(most - before < 32 * MiB, `${most - before} bytes more`)
})
