import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { tempDir } from '../../testing/temp-dir.ts'
import { openBuildPlace, outputPathsOf, publish } from './build-place.ts'

const at = await tempDir()
await mkdir(at('out'))
const output = at('out/disk.qcow2')
const names = () => readdir(at('out'))

describe('the place of a build', () => {
  it('is a directory beside the output, and gone when it is closed', async () => {
    {
      await using place = await openBuildPlace(output, [])
      await mkdir(join(place.path, 'root/deep'), { recursive: true })
      assert.deepEqual((await names()).length, 1)
      assert.match((await names())[0] ?? '', /^\.disk\.qcow2\.ingot-/)
    }
    assert.deepEqual(await names(), [])
  })

  it('is cleared of what a dead build left', async () => {
    await mkdir(at('out/.disk.qcow2.ingot-4194305-1-build/root'), { recursive: true })
    await mkdir(at('out/.other.qcow2.ingot-4194305-1-build'))
    {
      await using place = await openBuildPlace(output, [])
      assert.ok(!(await names()).includes('.disk.qcow2.ingot-4194305-1-build'), place.path)
    }
    assert.deepEqual(await names(), ['.other.qcow2.ingot-4194305-1-build'])
  })

  it('belongs to one build at a time', async () => {
    await using place = await openBuildPlace(output, [])
    await assert.rejects(openBuildPlace(output, []), { code: 'IMAGE_BUSY' })
    assert.ok((await readdir(place.path)).length === 0)
  })

  it('cannot be in a directory that is not there', async () => {
    await assert.rejects(openBuildPlace(at('nowhere/disk.raw'), []), { code: 'FILE_NOT_FOUND' })
  })

  it('gives image and records away under their names', async () => {
    const paths = outputPathsOf(output)
    {
      await using place = await openBuildPlace(output, [])
      const image = join(place.path, 'image')
      await writeFile(image, 'the image')
      await publish(place, image, paths, { manifest: { a: 1 }, sbom: { b: 2 } })
    }
    assert.equal(await readFile(paths.image, 'utf8'), 'the image')
    assert.deepEqual(JSON.parse(await readFile(at('out/disk.manifest.json'), 'utf8')), { a: 1 })
    assert.deepEqual(JSON.parse(await readFile(at('out/disk.spdx.json'), 'utf8')), { b: 2 })
    assert.equal((await names()).filter((name) => name.startsWith('.disk')).length, 0)
  })
})
