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
import { type Inspection, InspectionThread } from './inspect.ts'

const inTemp = await tempDir()
/** How streams are cut, as long as that makes no more than so many chunks; two ways for each image. */
const CUTS = [1, 7, 512, 4096, 65_536]
const MAX_CHUNKS = 6000

async function inspected(bytes: Uint8Array, claim: string, cut: number): Promise<Inspection> {
  await using inspector = createInspector({ claim }, makeContext())
  for (let at = 0; at < bytes.length; at += cut) await inspector.push(bytes.subarray(at, at + cut))
  return await inspector.end()
}

/** The same for the whole and for two ways of cutting it, which take turns from image to image. */
async function inspectedInCuts(bytes: Uint8Array, claim: string, turn: number) {
  const whole = await inspected(bytes, claim, MiB)
  const cuts = CUTS.filter((cut) => bytes.length <= cut * MAX_CHUNKS)
  for (const [index, cut] of cuts.entries())
    if ((turn + index) % cuts.length < 2)
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

  it('are more than 650, each another lie', () => {
    assert.ok(images.length > 650)
    assert.equal(new Set(images.map(({ name }) => name)).size, images.length)
  })

  it('are refused for what is wrong with them, however the stream is cut', async () => {
    for (const [turn, image] of images.entries()) {
      const inspection = await inspectedInCuts(await image.make(), image.claim, turn)
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
  it('are more than 80, and safe as streams and as files', async () => {
    assert.ok(GOOD_IMAGES.length > 80)
    const disk = inTemp('disk.raw')
    await makeGoodDisk(disk)
    await using thread = new InspectionThread()
    for (const [turn, { name, claim, make }] of GOOD_IMAGES.entries()) {
      const path = inTemp('image')
      await make(path, disk)
      const file = await thread.inspectImage(path, { claim }, makeContext())
      const refusals = file.findings.filter(({ severity }) => severity === 'refuse')
      assert.deepEqual([name, file.safe, refusals], [name, true, []])
      const stream = await inspectedInCuts(await readFile(path), claim, turn)
      assert.deepEqual([name, stream.safe], [name, true])
      await rm(path)
    }
  })
})
