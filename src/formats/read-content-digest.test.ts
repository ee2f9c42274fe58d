import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { memorySource, type Source } from '../bytes/source.ts'
import { failsWith } from '../testing/fails-with.ts'
import { ContentDigest } from './content-digest.ts'
import { DiskMapBuilder, UNIT } from './disk-map.ts'
import { readContentDigest } from './read-content-digest.ts'

const content = Buffer.alloc(1200 * UNIT - 512)
const builder = new DiskMapBuilder()
for (const unit of [0, 1, 2, 500, 511, 512, 513, 1199]) {
  builder.add(unit)
  content.subarray(unit * UNIT, (unit + 1) * UNIT).fill(`unit ${unit}`)
}
const map = builder.toMap(content.length)

describe('the digest of a disk', () => {
  it('is that of its units, one after the other', async () => {
    const expected = new ContentDigest()
    for (let unit = map.next(0, true); unit < map.units; unit = map.next(unit + 1, true))
      expected.add(unit, content.subarray(unit * UNIT, (unit + 1) * UNIT))
    const digest = await readContentDigest(memorySource(content), map, makeContext())
    assert.equal(digest, await expected.end(map, () => assert.fail('all units have come')))
  })

  it('changes with every byte', async () => {
    const before = await readContentDigest(memorySource(content), map, makeContext())
    for (const at of [0, UNIT + 10_000, 512 * UNIT + 2049, content.length - 1]) {
      const other = Buffer.from(content)
      other[at] = (other[at] ?? 0) ^ 1
      assert.notEqual(await readContentDigest(memorySource(other), map, makeContext()), before)
    }
  })

  it('fails as reading does, and when it is interrupted', async () => {
    const broken: Source = {
      ...memorySource(content),
      read: async () => {
        throw new Error('a bad sector')
      },
    }
    await assert.rejects(readContentDigest(broken, map, makeContext()), /a bad sector/)
    const context = makeContext({ signal: AbortSignal.abort() })
    await assert.rejects(
      readContentDigest(memorySource(content), map, context),
      failsWith('INTERRUPTED'),
    )
  })
})
