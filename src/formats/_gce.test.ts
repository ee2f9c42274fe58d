import assert from 'node:assert/strict'
import { open, readFile, truncate, writeFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { makeContext } from '../base/context.ts'
import { runTool } from '../base/process.ts'
import { GiB, KiB, MiB } from '../base/units.ts'
import { noise } from '../testing/contract-tree.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { convertImage } from './convert-image.ts'
import { createInspector } from './create-inspector.ts'
import { inspectImage } from './inspect.ts'

const at = await tempDir()

/** A disk of 1 GiB in so many pieces that their list goes on behind the header. */
async function scatteredDisk(): Promise<string> {
  const path = at('disk.raw')
  await writeFile(path, '')
  const file = await open(path, 'r+')
  for (let piece = 0; piece < 60; piece++)
    await file.write(noise(5000), 0, 5000, piece * piece * 200 * KiB)
  await file.close()
  await truncate(path, GiB)
  return path
}
const disk = await scatteredDisk()

const converted = (input: string, output: string, format: string) =>
  convertImage({ input, output, format, tempDir: at('') }, makeContext())

async function streamed(archive: Buffer, claim: string, cut: number) {
  await using inspector = createInspector({ claim }, makeContext())
  for (let start = 0; start < archive.length; start += cut)
    await inspector.push(archive.subarray(start, start + cut))
  return await inspector.end()
}

async function isBack(archive: string): Promise<void> {
  const inspection = await inspectImage(archive, {}, makeContext())
  assert.deepEqual(
    [inspection.format, inspection.virtualSize, inspection.findings],
    ['gce', GiB, []],
  )
  const back = at('back.raw')
  const { inputFormat } = await converted(archive, back, 'raw')
  assert.equal(inputFormat, 'gce')
  await runTool(['qemu-img', 'compare', '-f', 'raw', '-F', 'raw', disk, back])
}

describe('an archive for Compute Engine', () => {
  it('that Ingot wrote is told, and converted back to the same disk', async () => {
    const archive = at('image.tar.gz')
    await converted(disk, archive, 'gce')
    await isBack(archive)
  })

  it('that GNU tar wrote is, too, with holes and without', async () => {
    const archive = at('gnu.tar.gz')
    const options = ['--format=oldgnu', '-czf', archive, '-C', at(''), 'disk.raw']
    await runTool(['tar', '-S', ...options])
    await isBack(archive)
    await truncate(at('disk.raw'), GiB)
    await runTool(['tar', ...options])
    await isBack(archive)
  })

  it('gives the same answer in any chunks, and at any cut', async () => {
    await runTool(['tar', '-S', '--format=oldgnu', '-cf', at('a.tar'), '-C', at(''), 'disk.raw'])
    const tar = await readFile(at('a.tar'))
    const whole = await streamed(gzipSync(tar), 'gce', MiB)
    assert.equal(whole.safe, true)
    for (const cut of [7, 512, 4096])
      assert.deepEqual(await streamed(gzipSync(tar), 'gce', cut), whole)
    for (let length = 0; length < tar.length - 10_240; length += length < 3000 ? 97 : 40_000) {
      const { safe } = await streamed(gzipSync(tar.subarray(0, length)), 'gce', MiB)
      assert.equal(safe, false, `${length} bytes`)
    }
  })

  it('is not anything else in a tar, nor in another compression', async () => {
    await writeFile(at('other.raw'), Buffer.alloc(MiB))
    await runTool(['tar', '-czf', at('other.tar.gz'), '-C', at(''), 'other.raw'])
    const { safe, findings } = await inspectImage(at('other.tar.gz'), {}, makeContext())
    assert.equal(safe, false)
    assert.ok(findings.some(({ code }) => code === 'NESTED_FORMAT'))
    const archive = gunzipSync(await readFile(at('gnu.tar.gz')))
    await writeFile(at('gnu.tar'), archive.subarray(0, MiB))
    await runTool(['zstd', '-q', '-f', at('gnu.tar')])
    assert.equal((await inspectImage(at('gnu.tar.zst'), {}, makeContext())).safe, false)
    assert.equal((await inspectImage(at('gnu.tar'), { claim: 'gce' }, makeContext())).safe, false)
  })
})
