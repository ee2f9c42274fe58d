import assert from 'node:assert/strict'
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import { failsWith } from '../testing/fails-with.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { makeIso9660 } from './iso9660.ts'
import { extractFromIso } from './read-iso9660.ts'

const inDir = await tempDir()

/** An image of xorriso's, with or without names of Rock Ridge. */
async function makeImage(name: string, rockRidge: boolean): Promise<string> {
  const tree = inDir(`${name}-tree`)
  await mkdir(`${tree}/install.amd`, { recursive: true })
  await mkdir(`${tree}/boot/x86_64/loader`, { recursive: true })
  for (let index = 0; index < 100; index++) await writeFile(`${tree}/file-${index}`, `${index}`)
  await writeFile(`${tree}/install.amd/vmlinuz`, Buffer.alloc(5000, 'kernel'))
  await writeFile(`${tree}/boot/x86_64/loader/linux`, 'the loader')
  const names = rockRidge ? ['-R'] : ['-iso-level', '4']
  await runTool(['xorriso', '-as', 'mkisofs', '-quiet', ...names, '-o', inDir(name), tree])
  return inDir(name)
}

const plain = await makeImage('plain.iso', false)
const rocky = await makeImage('rocky.iso', true)

test('finds files by path, whichever names the image has, and gives the first one that is there', async () => {
  for (const image of [plain, rocky]) {
    const out = inDir('kernel')
    const paths = ['casper/vmlinuz', 'install.amd/vmlinuz', 'boot/x86_64/loader/linux']
    assert.equal(await extractFromIso(image, paths, out), 'install.amd/vmlinuz')
    assert.deepEqual(await readFile(out), Buffer.alloc(5000, 'kernel'))
    assert.equal(
      await extractFromIso(image, ['Boot/x86_64/loader/LINUX'], out),
      'Boot/x86_64/loader/LINUX',
    )
    assert.equal(await readFile(out, 'utf8'), 'the loader')
    assert.equal(await extractFromIso(image, ['boot', 'none', 'file-3/x'], out), undefined)
  }
})

test('reads what our own writer wrote', async () => {
  const content = Buffer.from('seed')
  await writeFile(inDir('own.iso'), makeIso9660('own', [{ name: 'a', content }]))
  assert.equal(await extractFromIso(inDir('own.iso'), ['file0000'], inDir('out')), 'file0000')
  assert.deepEqual(await readFile(inDir('out')), content)
})

test('refuses what is no image, and one that is cut short', async () => {
  await writeFile(inDir('text'), 'no image')
  const extract = (name: string) => extractFromIso(inDir(name), ['install.amd/vmlinuz'], inDir('x'))
  await assert.rejects(extract('text'), failsWith('IMAGE_UNREADABLE'))
  await writeFile(inDir('short.iso'), await readFile(rocky))
  await truncate(inDir('short.iso'), 24 * 2048)
  await assert.rejects(extract('short.iso'), failsWith('IMAGE_UNREADABLE'))
  await assert.rejects(extract('none.iso'), failsWith('FILE_NOT_FOUND'))
})

test('a damaged image gives a file, none, or a failure that says so', async () => {
  const whole = await readFile(rocky)
  const start = 16 * 2048
  const change = fc.record({
    at: fc.integer({ min: start, max: start + 40 * 2048 }),
    value: fc.nat(255),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 20 }), async (changes) => {
      const bytes = Buffer.from(whole)
      for (const { at, value } of changes) bytes[at] = value
      await writeFile(inDir('damaged.iso'), bytes)
      try {
        await extractFromIso(inDir('damaged.iso'), ['install.amd/vmlinuz'], inDir('y'))
      } catch (error) {
        assert.ok(isFailure(error), String(error))
      }
    }),
    { numRuns: 60 },
  )
})
