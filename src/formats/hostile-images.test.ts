/** Every hostile image we can think of is refused, for the reason that makes it hostile; no good one is. */
import assert from 'node:assert/strict'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { before, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { MiB } from '../base/units.ts'
import { makeBaseImages } from '../testing/hostile/base-images.ts'
import { GOOD_IMAGES, makeGoodDisk } from '../testing/hostile/good-images.ts'
import type { HostileImage } from '../testing/hostile/hostile-image.ts'
import { hostileImages } from '../testing/hostile/hostile-images.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { createInspector } from './create-inspector.ts'
import { inspectImage, type Inspection } from './inspect.ts'

const inTemp = await tempDir()
/** How streams are cut, as long as that makes no more than so many chunks. */
const CUTS = [1, 7, 512, 4096, 65_536]
const MAX_CHUNKS = 20_000

async function inspected(bytes: Uint8Array, claim: string, cut: number): Promise<Inspection> {
  await using inspector = createInspector({ claim }, makeContext())
  for (let at = 0; at < bytes.length; at += cut) await inspector.push(bytes.subarray(at, at + cut))
  return await inspector.end()
}

/** The same for every way of cutting that is worth it. */
async function inspectedInAllCuts(bytes: Uint8Array, claim: string): Promise<Inspection> {
  const whole = await inspected(bytes, claim, MiB)
  for (const cut of CUTS)
    if (bytes.length <= cut * MAX_CHUNKS)
      assert.deepEqual(await inspected(bytes, claim, cut), whole, `in chunks of ${cut} bytes`)
  return whole
}

describe('hostile images', () => {
  let images: readonly HostileImage[] = []
  before(async () => {
    const directory = inTemp('bases')
    await mkdir(directory)
    images = hostileImages(await makeBaseImages(directory))
    await rm(directory, { recursive: true })
  })

  it('are more than 400, each another lie', () => {
    assert.ok(images.length > 400)
    assert.equal(new Set(images.map(({ name }) => name)).size, images.length)
  })

  it('are refused for what is wrong with them, however the stream is cut', async () => {
    for (const image of images) {
      const inspection = await inspectedInAllCuts(await image.make(), image.claim)
      const refusals = inspection.findings.filter(({ severity }) => severity === 'refuse')
      const told = refusals.some(({ code }) => image.codes.includes(code))
      assert.ok(
        !inspection.safe && told,
        `${image.name}: wanted ${image.codes.join(' or ')}, found ${JSON.stringify(inspection.findings)}`,
      )
    }
  })
})

describe('good images', () => {
  it('are more than 50, and safe as streams and as files', async () => {
    assert.ok(GOOD_IMAGES.length > 50)
    const disk = inTemp('disk.raw')
    await makeGoodDisk(disk)
    for (const { name, claim, make } of GOOD_IMAGES) {
      const path = inTemp('image')
      await make(path, disk)
      const file = await inspectImage(path, { claim }, makeContext())
      const refusals = file.findings.filter(({ severity }) => severity === 'refuse')
      assert.deepEqual([name, file.safe, refusals], [name, true, []])
      const stream = await inspectedInAllCuts(await readFile(path), claim)
      assert.deepEqual([name, stream.safe], [name, true])
      await rm(path)
    }
  })
})
