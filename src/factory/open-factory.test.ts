import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { REQUESTER, baseOrder, mockTemplate, openTestFactory } from '../testing/test-factory.ts'
import { tempDir } from '../testing/temp-dir.ts'

const at = await tempDir()

describe('the image factory', () => {
  it('makes base, target and provider image of one order', async () => {
    await using bench = await openTestFactory({ directory: at('chain') })
    const { factory } = bench
    const ordered = await factory.orderProvider({
      requester: REQUESTER,
      target: 'mockcloud',
      provider: 'mock-provider',
      credentials: { username: 'mock', password: 'very-secret' },
      template: mockTemplate('chain'),
      parameters: {},
      unknownParameters: 'refuse',
    })
    assert.equal(ordered.status, 'PENDING')
    const pushed = await bench.ended(ordered)
    assert.deepEqual(
      [pushed.status, pushed.error, pushed.percent, pushed.providerAccount],
      ['COMPLETE', null, 100, 'mock_user'],
    )
    const [provider, target, base] = await factory.list({})
    assert.deepEqual([provider?.type, target?.type, base?.type], ['provider', 'target', 'base'])
    assert.equal(target?.bodyId, base?.id)
    assert.equal((await bench.catalog.get(base?.id ?? ''))?.status, 'active')
    const icicle = await factory.readDocument(target?.id ?? '', 'icicle')
    assert.match(Buffer.from(icicle ?? []).toString(), /<icicle>/)
  })

  it('makes a base image', async () => {
    await using bench = await openTestFactory({ directory: at('base') })
    const image = await bench.ended(await bench.factory.orderBase(baseOrder()))
    assert.equal(image.status, 'COMPLETE')
  })
})
